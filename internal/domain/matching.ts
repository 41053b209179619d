/** Which rider takes which delivery, and when to look again where nobody was free. */
import { type Delivery, distanceM, type Rider } from './delivery.ts';
import type { OrderId } from './order.ts';
import { type Backoff, backoffMs } from './retry.ts';

export interface MatchingRules {
  /** How far apart two places are taken to be where one of them is not known, metres. */
  readonly defaultDistanceM: number;
  /** How much farther away a rider may be who carries one order less, metres. */
  readonly loadPenaltyM: number;
}

/**
 * The riders of those deliveries that get one. Each delivery in turn, so the first asked for chooses first, gets the rider
 * on duty with room for it who costs least: metres to the pickup, and the penalty for each order they carry by then.
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

/** 5, 10 and 20 seconds, then 30 again and again; the order's deadline ends it. `attempts` is how often it was tried in vain before this time. */
export function searchDelayMs(attempts: number): number {
  return backoffMs(attempts + 1, SEARCH);
}
