/** The ports of maintenance: what lets go of rows that nobody needs any more. Times are epoch ms. */

/** A consumer that has not moved its cursor while events waited for it. */
export interface IdleCursor {
  readonly consumer: string;
  readonly movedAt: number;
}

export interface Retention {
  /** Deletes events older than `before` that every cursor has passed; returns how many. */
  pruneEvents(before: number): Promise<number>;
  /** Deletes the marks of handled events and the responses to idempotency keys that are older than `before`. */
  pruneKeys(before: number): Promise<void>;
  /** Cursors that have not moved since `before` although an event older than that waits behind them. */
  idleCursors(before: number): Promise<IdleCursor[]>;
  removeCursors(consumers: readonly string[]): Promise<void>;
}

export interface HistoryPartitions {
  /** Makes the partitions of this month and the next two, and drops entries older than `keepFrom`. */
  maintain(now: number, keepFrom: number): Promise<void>;
}
