/** When an order will be at the door. Times are epoch ms, durations ms. */
import { type Delivery, distanceM, type Place } from './delivery.ts';

export interface EtaRules {
  /** How far apart two places are taken to be where one of them is not known, metres. */
  readonly defaultDistanceM: number;
  /** Metres on the road for a metre as the crow flies. */
  readonly detourFactor: number;
  /** Metres a second on the road, stops included. */
  readonly speedMps: number;
  /** At the counter, and again at the door. */
  readonly handoverMs: number;
}

export interface Eta {
  readonly median: number;
  /** It will be there by then in nine cases of ten. */
  readonly p90: number;
}

/** How many times its median each part takes: in the middle, and where only one case in ten is worse. Figures of experience. */
const MEDIAN = { ride: 1, preparation: 1, handover: 1 };
const P90 = { ride: 1.4, preparation: 1.3, handover: 2 };

/**
 * Before the pickup:  now + max(f·ride to the pickup, g·preparation left) + h·handover + f·ride to the door + h·handover
 * After the pickup:   now + f·ride from where the rider is to the door + h·handover
 *
 * A ride takes distance × detour factor ÷ speed. Where one end of the ride under way is not known, it is the default
 * distance, and what has gone by since it began counts as ridden. Preparation left is what remains until `readyAt`.
 * The median has f = g = h = 1; the 90th percentile has f = 1.4, g = 1.3, h = 2, as if all parts were late at once, so it
 * errs on the late side. Neither is ever before `now`, and the median is never after the 90th percentile.
 */
export function etaOf(delivery: Delivery, rider: Place | undefined, now: number, rules: EtaRules): Eta {
  const under = (factors: typeof MEDIAN) =>
    Math.round(now + remainingMs(delivery, rider, now, rules, factors));
  return { median: under(MEDIAN), p90: under(P90) };
}

function remainingMs(
  { state, pickup, dropoff, readyAt, assignedAt, pickedUpAt }: Delivery,
  rider: Place | undefined,
  now: number,
  rules: EtaRules,
  factors: typeof MEDIAN,
): number {
  const handover = factors.handover * rules.handoverMs;
  const ride = (from: Place | undefined, to: Place | undefined) => {
    const distance = from && to ? distanceM(from, to) : rules.defaultDistanceM;
    return (factors.ride * distance * rules.detourFactor * 1_000) / rules.speedMps;
  };
  const rideUnderWay = (to: Place | undefined, since: number | undefined) => {
    const ridden = rider && to ? 0 : Math.max(0, now - (since ?? now));
    return Math.max(0, ride(rider, to) - ridden);
  };
  if (state === 'PICKED_UP') return rideUnderWay(dropoff, pickedUpAt) + handover;
  const preparation = factors.preparation * Math.max(0, (readyAt ?? now) - now);
  return Math.max(rideUnderWay(pickup, assignedAt), preparation) + ride(pickup, dropoff) + 2 * handover;
}
