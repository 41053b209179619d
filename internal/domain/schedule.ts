/** When an order is due: all times are epoch milliseconds. */

/** Ten years, the farthest an order may be scheduled ahead. */
export const MAX_AHEAD_MS = 10 * 365.25 * 24 * 3_600_000;

/** What may happen to an order later, apart from its being due; each kind runs out as the event `timer.<kind>`. */
export type TimerKind = 'deadline' | 'checks' | 'rider' | 'eta' | 'notification' | 'payment';

/** The moment an order becomes due; a time in the past, or none, means now. */
export function dueTime(scheduledAt: number | undefined, now: number): number {
  return scheduledAt === undefined ? now : Math.max(scheduledAt, now);
}

export function isTooFarAhead(scheduledAt: number, now: number): boolean {
  return scheduledAt - now > MAX_AHEAD_MS;
}

/**
 * Names one schedule of one order. An order.ready event takes its id from this name, so a schedule that is
 * dispatched twice is the same event, and a rescheduled order is another one.
 */
export function scheduleName(orderId: string, dueAt: number): string {
  return `${orderId}@${dueAt}`;
}

/** RFC 3339 text in UTC with milliseconds. */
export function toRfc3339(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
