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

/** A leap second, with or without a fraction: `:60` between the minute and the offset. */
const LEAP_SECOND = /^(.{16}):60(?:\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/**
 * RFC 3339 text in the one form that JavaScript reads: with capital T and Z, and a leap second as the end of the second
 * before it. Other text is returned as it is.
 */
export function canonicalTime(text: string): string {
  const upper = text.replace(/^(.{10})t/, '$1T').replace(/z$/, 'Z');
  const [, minute, offset] = LEAP_SECOND.exec(upper) ?? [];
  if (minute === undefined) return upper;
  const before = `${minute}:59.999${offset}`;
  // Leap seconds are inserted at the end of a day in UTC.
  return Number.isNaN(Date.parse(before)) || !/T23:59:59/.test(toRfc3339(Date.parse(before)))
    ? upper
    : before;
}

/** RFC 3339 text in UTC with milliseconds. */
export function toRfc3339(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
