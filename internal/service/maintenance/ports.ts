/** The ports of maintenance: deleting rows after their retention, and erasing what they hold about a person. Times are epoch ms. */
import type { OrderId } from '../../domain/order.ts';
import type { Transaction } from '../ports.ts';

/** How many rows of each kind were erased. */
export const ERASED_ROWS = ['orders', 'events', 'history', 'messages', 'letters', 'answers'] as const;
export type ErasedRows = { [what in (typeof ERASED_ROWS)[number]]: number };

/** Where rows about a person are, and which customers' were to be erased. */
export interface PersonalData {
  /** Up to `limit` orders of the customer: those that have not ended, or the ended ones that are not erased. */
  ordersOf(customerId: string, which: 'open' | 'unerased', limit: number): Promise<OrderId[]>;
  /** The orders of the customer that are erased. */
  erasedOf(customerId: string): Promise<OrderId[]>;
  /** Erases these ended orders, and what stands under their ids, except the order's changeable columns. */
  eraseOrders(
    tx: Transaction,
    customerId: string,
    ids: readonly OrderId[],
    at: number,
  ): Promise<Partial<ErasedRows>>;
  /** Erases what the event log, dead letters and stored responses hold about these orders, in short statements. */
  eraseTraces(customerId: string, ids: ReadonlySet<OrderId>): Promise<Partial<ErasedRows>>;
  /** Remembers that the customer's data are to be erased, were erased, or were looked through again. */
  note(customerId: string, step: 'requested' | 'erased' | 'settled', at: number): Promise<void>;
  /** Customers whose erasure was requested before `requested` and not finished, or erased before `erased` and not settled. */
  unfinished(before: { requested: number; erased: number }): Promise<Unfinished[]>;
}

/** An erasure that was requested, and whether everything was erased once. */
export interface Unfinished {
  readonly customerId: string;
  readonly isErased: boolean;
}

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
