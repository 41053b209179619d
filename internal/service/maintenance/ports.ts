/** The ports of maintenance: deleting rows after their retention. Times are epoch ms. */

/** A cursor that has not moved although events wait behind it. */
export interface IdleCursor {
  readonly consumer: string;
  readonly movedAt: number;
}

/**
 * What is deleted after its retention:
 * - `events` that every cursor has passed;
 * - `marks` of processed events, and `keys`: the stored responses of idempotency keys;
 * - `letters`: the dead letters and parked events of an order, once all of them are old enough;
 * - `messages` to customers that were sent or given up;
 * - `orders` that have ended and whose money is settled, with their rows of stock, kitchen, delivery, timers and messages;
 * - `payments` of orders that were deleted.
 */
export const AGING = ['events', 'marks', 'keys', 'letters', 'messages', 'orders', 'payments'] as const;
export type Aging = (typeof AGING)[number];

export interface Retention {
  /** Deletes up to `limit` of what is older than `before`, in one short transaction; returns their number. */
  prune(what: Aging, before: number, limit: number): Promise<number>;
  /** Cursors that have not moved since `before` although an event older than `before` waits behind them. */
  idleCursors(before: number): Promise<IdleCursor[]>;
  removeCursors(consumers: readonly string[]): Promise<void>;
}

export interface HistoryPartitions {
  /** Creates the partitions of this month and the next two, and drops entries older than `keepFrom`. */
  maintain(now: number, keepFrom: number): Promise<void>;
}
