/**
 * The ports: everything a use case needs from the outside, named for its role.
 *
 * Glossary
 * - order: the aggregate of domain/order.ts; its row in Postgres is the truth.
 * - event: a fact, in the envelope of domain/events.ts, appended in the transaction that made it true.
 * - event log: the table of all events; outbox for Kafka, and the stream itself when there is no Kafka.
 * - stream: what carries events between services, behind EventBus.
 * - consumer: a named reader of the stream; each event takes effect once per consumer.
 * - delivery: one record as it came off a topic; the same event may be delivered many times.
 * - dead letter: a delivery that a consumer could not handle; later deliveries of its order are parked behind it.
 * - due queue: the orders that wait for their time, in Redis; an index that is rebuilt from Postgres.
 * - claim: the lease under which one worker may send an order off; unacknowledged, the order becomes due again.
 */
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
  count(metric: Counter, by: number, labels?: Readonly<Record<string, string>>): void;
  /** Seconds. */
  observe(metric: Duration, seconds: number, labels?: Readonly<Record<string, string>>): void;
}
export type Counter =
  | 'orders_placed'
  | 'events_consumed'
  | 'dead_letters'
  | 'orders_dispatched'
  | 'orders_redelivered'
  | 'timers_dispatched'
  | 'orders_rebuilt'
  | 'events_relayed';
export type Duration = 'dispatch_lateness' | 'batch_duration';

/** Runs work in one transaction: all of it is stored, or none. Faults that pass by themselves are thrown as UNAVAILABLE. */
export interface Transactions {
  run<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
}

/** What one transaction can do. */
export interface Transaction {
  /** Locks the orders, in id order, and reads them; unknown ids are absent from the answer. */
  lockOrders(ids: readonly OrderId[]): Promise<Map<OrderId, Order>>;
  saveOrders(orders: readonly Order[]): Promise<void>;
  appendEvents(events: readonly Event[]): Promise<void>;
  /** Marks events as handled by a consumer and returns those that were not yet. */
  claimEvents(consumer: string, eventIds: readonly string[]): Promise<Set<string>>;
  /** Moves a consumer's place in the event log; throws UNAVAILABLE where another reader has moved it meanwhile. */
  moveCursor(consumer: string, from: LogPosition, to: LogPosition): Promise<void>;
  readonly deadLetters: {
    /** Stores dead letters and the deliveries parked behind them, and announces the dead letters on their topic. */
    add(letters: readonly NewDeadLetter[]): Promise<void>;
    /** Takes out a letter that is being handled; false where another process has taken it. */
    remove(id: string): Promise<boolean>;
  };
  readonly idempotency: {
    find(key: IdempotencyKey): Promise<StoredResponse | undefined>;
    /** Throws IDEMPOTENCY_KEY_REUSED where another request has stored a response meanwhile. */
    save(key: IdempotencyKey, response: StoredResponse): Promise<void>;
  };
}

export interface IdempotencyKey {
  readonly principal: string;
  readonly operation: string;
  readonly key: string;
  /** SHA-256 of the request's meaning; the same key with another fingerprint is a mistake of the client. */
  readonly fingerprint: string;
}

/** The response to a request, repeated word for word when the request comes again. */
export interface StoredResponse {
  readonly fingerprint: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** A place in the event log: (transaction id, position), both as decimal text since they exceed a double. */
export interface LogPosition {
  readonly transactionId: string;
  readonly position: string;
}

export const BEGINNING: LogPosition = { transactionId: '0', position: '0' };

export interface NewDeadLetter {
  readonly consumer: string;
  readonly eventId: string;
  readonly orderId: string;
  readonly topic: string;
  readonly record: unknown;
  /** Why it could not be handled; absent for a delivery that is only parked behind another. */
  readonly error?: string;
  readonly retryCount: number;
}

export interface DeadLetter extends NewDeadLetter {
  readonly id: string;
  readonly createdAt: number;
}
