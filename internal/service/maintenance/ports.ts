/** The ports of maintenance: deleting rows after their retention. Times are epoch ms. */

/** A cursor that has not moved although events wait behind it. */
export interface IdleCursor {
  readonly consumer: string;
  readonly movedAt: number;
}

export interface Retention {
  /** Deletes events older than `before` that every cursor has passed; returns their number. */
  pruneEvents(before: number): Promise<number>;
  /** Deletes the marks of processed events and the stored responses of idempotency keys that are older than `before`. */
  pruneKeys(before: number): Promise<void>;
  /** Cursors that have not moved since `before` although an event older than `before` waits behind them. */
  idleCursors(before: number): Promise<IdleCursor[]>;
  removeCursors(consumers: readonly string[]): Promise<void>;
}

export interface HistoryPartitions {
  /** Creates the partitions of this month and the next two, and drops entries older than `keepFrom`. */
  maintain(now: number, keepFrom: number): Promise<void>;
}
