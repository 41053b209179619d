/** Due times and timers of an order. All times are epoch milliseconds. */

/** Ten years, the farthest an order may be scheduled ahead. */
export const MAX_AHEAD_MS = 10 * 365.25 * 24 * 3_600_000;

/** The kinds of timers that an order may have beside its due time; one that runs out becomes the event `timer.<kind>`. */
export type TimerKind = 'deadline' | 'checks' | 'logic' | 'rider' | 'eta' | 'notification' | 'payment';

/** The due time of an order; without a scheduled time, or with one in the past, it is now. */
export function dueTime(scheduledAt: number | undefined, now: number): number {
  return scheduledAt === undefined ? now : Math.max(scheduledAt, now);
}

export function isTooFarAhead(scheduledAt: number, now: number): boolean {
  return scheduledAt - now > MAX_AHEAD_MS;
}

/**
 * The name of one schedule of one order. The id of its order.ready event is derived from it, so a schedule that is
 * dispatched twice gives the same event, and a rescheduled order gives another.
 */
export function scheduleName(orderId: string, dueAt: number): string {
  return `${orderId}@${dueAt}`;
}

/** RFC 3339 text in UTC with milliseconds. */
export function toRfc3339(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
