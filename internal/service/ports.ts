/** The ports that all use cases share: clock, log, meter, transactions. Their terms are in the glossary in docs/architecture.md. */
import type { Event } from '../domain/events.ts';
import type { Order, OrderId } from '../domain/order.ts';

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export interface Meter {
  /** Adds to a counter. With 0 it is reported from now on, so that what is counted first is seen as an increase. */
  count(metric: Counter, by: number, labels?: Readonly<Record<string, string>>): void;
  /** Records one measurement, in seconds. */
  observe(metric: Duration, seconds: number, labels?: Readonly<Record<string, string>>): void;
}
export type Counter =
  | 'orders_placed'
  | 'events_consumed'
  | 'dead_letters'
  | 'deadlines_expired'
  | 'orders_dispatched'
  | 'orders_redelivered'
  | 'timers_dispatched'
  | 'orders_rebuilt'
  | 'events_relayed'
  | 'consumer_rejoins';
export type Duration = 'dispatch_lateness' | 'batch_duration';

/** Limits how many requests each client may send. */
export interface RateLimits {
  /** Counts one request of `who`. Never throws, whatever is away. */
  take(who: string): Promise<RateTaken>;
}

export interface RateTaken {
  readonly limit: number;
  readonly windowS: number;
  readonly remaining: number;
  /** Seconds until the window ends. */
  readonly resetS: number;
  readonly isOver: boolean;
}

/**
 * Runs `work` in one transaction, which commits when `work` resolves and rolls back when it rejects. Throws UNAVAILABLE if
 * the database is unreachable or the transaction lost a race.
 */
export interface Transactions {
  run<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
}

/** The operations of one transaction that all use cases share. */
export interface Transaction {
  /** Locks the orders in id order and reads them; unknown ids are absent from the result. */
  lockOrders(ids: readonly OrderId[]): Promise<Map<OrderId, Order>>;
  saveOrders(orders: readonly Order[]): Promise<void>;
  appendEvents(events: readonly Event[]): Promise<void>;
  /** Marks events as processed by a consumer; returns the ids that were not marked before. */
  claimEvents(consumer: string, eventIds: readonly string[]): Promise<Set<string>>;
  /** Moves a consumer's cursor; throws UNAVAILABLE if it is no longer at `from`, or `to` is of another server. */
  moveCursor(consumer: string, from: LogPosition, to: LogPosition): Promise<void>;
  readonly deadLetters: {
    /** Stores dead letters (with `error`) and parked events (without), and publishes the dead letters to their topic. */
    add(letters: readonly NewDeadLetter[]): Promise<void>;
    /** Deletes a dead letter that is being replayed; false if another process has deleted it. */
    remove(id: string): Promise<boolean>;
  };
  readonly idempotency: {
    find(key: IdempotencyKey): Promise<StoredResponse | undefined>;
    /** Throws IDEMPOTENCY_KEY_REUSED if another request has stored a response under the key since `find`. */
    save(key: IdempotencyKey, response: StoredResponse): Promise<void>;
  };
}

/** The key that a client gave a request; unique for each principal and operation. */
export interface IdempotencyKey {
  readonly principal: string;
  readonly operation: string;
  readonly key: string;
  /** SHA-256 of the request's content; a request that reuses the key with another fingerprint is refused. */
  readonly fingerprint: string;
}

/** The response to a request, returned unchanged when the request is repeated under its key. */
export interface StoredResponse {
  readonly fingerprint: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** A position in the event log: transaction id, then position, both as decimal text since they exceed a double. */
export interface LogPosition {
  readonly transactionId: string;
  readonly position: string;
  /** The server that gave the position; at another server, which may lack the last events, it means nothing. */
  readonly server?: string;
}

export const BEGINNING: LogPosition = { transactionId: '0', position: '0' };

/** A dead letter, or an event that is parked behind one. */
export interface NewDeadLetter {
  readonly consumer: string;
  readonly eventId: string;
  /** The position of an unreadable record, which belongs to no order. */
  readonly orderId: string;
  /** The key of an unreadable record. */
  readonly key?: string;
  /** The topic that the record came from. */
  readonly topic: string;
  /** The record as it was delivered: JSON, or text that is no JSON. */
  readonly record: unknown;
  /** Why handling failed; absent for a parked event. */
  readonly error?: string;
  /** How often handling was tried. */
  readonly retryCount: number;
}

export interface DeadLetter extends NewDeadLetter {
  readonly id: string;
  /** Epoch ms. */
  readonly createdAt: number;
}
