/** The estimated time of delivery (ETA). Times are epoch ms, durations ms. */
import {
  type Delivery,
  distanceM,
  type Eta,
  type EtaChange,
  type EtaReason,
  type Place,
} from './delivery.ts';

export interface EtaRules {
  /** The distance of two places if one of them is unknown, metres. */
  readonly defaultDistanceM: number;
  /** Road distance divided by straight-line distance. */
  readonly detourFactor: number;
  /** Mean speed on the road with stops, metres per second. */
  readonly speedMps: number;
  /** Time at the counter, and again at the door. */
  readonly handoverMs: number;
}

/** The duration of each part as a multiple of its median, for both percentiles. Estimates, not measurements. */
const MEDIAN = { ride: 1, preparation: 1, handover: 1 };
const P90 = { ride: 1.4, preparation: 1.3, handover: 2 };
/** A window that moved by less is the same to a customer, ms. */
const NOTICEABLE_MS = 60_000;
/** A rider this near to the restaurant waits there, metres. */
const AT_PICKUP_M = 100;

/**
 * Before the pickup:  now + max(f·ride to the pickup, g·preparation left) + h·handover + f·ride to the door + h·handover
 * After the pickup:   now + f·ride from where the rider is to the door + h·handover
 *
 * A ride takes distance × detour factor ÷ speed. If one end of the current ride is unknown, the ride has the default
 * distance, and the time since its start counts as ridden. Preparation left is the time until `readyAt`.
 * The median has f = g = h = 1; the 90th percentile has f = 1.4, g = 1.3, h = 2. It assumes that all parts are late at
 * once, so it errs on the late side. Neither is ever before `now`, and the median is never after the 90th percentile.
 */
export function etaOf(delivery: Delivery, rider: Place | undefined, now: number, rules: EtaRules): Eta {
  const at = (factors: typeof MEDIAN) => Math.round(now + remainingMs(delivery, rider, now, rules, factors));
  return { median: at(MEDIAN), p90: at(P90) };
}

/**
 * The last noticeable change of the delivery's window, now that it is `eta`. `cause` is what happened at this moment; without
 * it the reason is the part of the ETA that decides it.
 */
export function etaChangeOf(
  delivery: Delivery,
  eta: Eta,
  cause: EtaReason | undefined,
  rider: Place | undefined,
  now: number,
  rules: EtaRules,
): EtaChange {
  const last = delivery.eta?.change;
  if (last && isNear(eta, last.to)) return last;
  const from = last?.to ?? (delivery.eta && { median: delivery.eta.median, p90: delivery.eta.p90 });
  return { why: cause ?? reasonOf(delivery, rider, now, rules), at: now, ...(from ? { from } : {}), to: eta };
}

function isNear(one: Eta, other: Eta): boolean {
  const moved = Math.max(Math.abs(one.median - other.median), Math.abs(one.p90 - other.p90));
  return moved < NOTICEABLE_MS;
}

function reasonOf(
  { state, pickup, readyAt = 0 }: Delivery,
  rider: Place | undefined,
  now: number,
  rules: EtaRules,
): EtaReason {
  if (state === 'ASSIGNED') {
    const isThere = rider && pickup && distanceM(rider, pickup) <= AT_PICKUP_M;
    if (readyAt > now && (isThere || readyAt - now >= rideMs(rider, pickup, rules))) return 'KITCHEN';
    if (readyAt > 0 && readyAt <= now && isThere) return 'KITCHEN_LATE';
  }
  return rider ? 'RIDER_POSITION' : 'TIME_PASSED';
}

/** The median duration of a ride. */
function rideMs(from: Place | undefined, to: Place | undefined, rules: EtaRules): number {
  const distance = from && to ? distanceM(from, to) : rules.defaultDistanceM;
  return (distance * rules.detourFactor * 1_000) / rules.speedMps;
}

function remainingMs(
  { state, pickup, dropoff, readyAt, assignedAt, pickedUpAt }: Delivery,
  rider: Place | undefined,
  now: number,
  rules: EtaRules,
  factors: typeof MEDIAN,
): number {
  const handover = factors.handover * rules.handoverMs;
  const ride = (from: Place | undefined, to: Place | undefined) => factors.ride * rideMs(from, to, rules);
  const currentRide = (to: Place | undefined, since: number | undefined) => {
    const ridden = rider && to ? 0 : Math.max(0, now - (since ?? now));
    return Math.max(0, ride(rider, to) - ridden);
  };
  if (state === 'PICKED_UP') return currentRide(dropoff, pickedUpAt) + handover;
  const preparation = factors.preparation * Math.max(0, (readyAt ?? now) - now);
  return Math.max(currentRide(pickup, assignedAt), preparation) + ride(pickup, dropoff) + 2 * handover;
}
