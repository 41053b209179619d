/** Assigns riders to deliveries, and says when to search again if no rider was free. */
import { type Delivery, distanceM, type Rider } from './delivery.ts';
import type { OrderId } from './order.ts';
import { type Backoff, backoffMs } from './retry.ts';

export interface MatchingRules {
  /** The distance of two places if one of them is unknown, metres. */
  readonly defaultDistanceM: number;
  /** The distance that each carried order adds to a rider's cost, metres. */
  readonly loadPenaltyM: number;
}

/**
 * Order id → rider id, for every delivery that gets a rider. Each delivery in turn gets the cheapest rider on duty with
 * free capacity; the cost is metres to the pickup plus the penalty for each order carried, this batch's included.
 */
export function chooseRiders(
  deliveries: readonly Pick<Delivery, 'orderId' | 'pickup'>[],
  riders: readonly Rider[],
  { defaultDistanceM, loadPenaltyM }: MatchingRules,
): Map<OrderId, string> {
  const chosen = new Map<OrderId, string>();
  const free = riders
    .filter(({ isOnDuty, carrying, capacity }) => isOnDuty && carrying < capacity)
    .map(({ id, place, carrying, capacity }) => ({ id, place, carrying, capacity }));
  for (const { orderId, pickup } of deliveries) {
    let best: (typeof free)[number] | undefined;
    let lowest = Number.POSITIVE_INFINITY;
    for (const rider of free) {
      if (rider.carrying >= rider.capacity) continue;
      const distance = rider.place && pickup ? distanceM(rider.place, pickup) : defaultDistanceM;
      const cost = distance + loadPenaltyM * rider.carrying;
      if (cost >= lowest) continue;
      best = rider;
      lowest = cost;
    }
    if (!best) break;
    best.carrying += 1;
    chosen.set(orderId, best.id);
  }
  return chosen;
}

const SEARCH: Backoff = { firstMs: 5_000, longestMs: 30_000 };

/**
 * Milliseconds until the next search after a failed one: 5, 10, 20 and then always 30 seconds, until the order's deadline.
 * `attempts` are the failed searches before that one.
 */
export function searchDelayMs(attempts: number): number {
  return backoffMs(attempts + 1, SEARCH);
}
