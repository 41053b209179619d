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
import type { Event, parseEvent } from '../domain/events.ts';
import type { Order, OrderId, OrderStatus } from '../domain/order.ts';
import type { TimerKind } from '../domain/schedule.ts';

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
  | 'orders_dispatched_again'
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
  readonly letters: {
    /** Stores dead letters and parked deliveries, and announces the dead ones on their dead-letter topic. */
    bury(letters: readonly BuriedLetter[]): Promise<void>;
    /** Takes out a letter that is being handled; false where another process has taken it. */
    remove(id: string): Promise<boolean>;
  };
  readonly answers: {
    recall(key: IdempotencyKey): Promise<StoredAnswer | undefined>;
    /** Throws IDEMPOTENCY_KEY_REUSED where another request has stored an answer meanwhile. */
    remember(key: IdempotencyKey, answer: StoredAnswer): Promise<void>;
  };
}

export interface IdempotencyKey {
  readonly principal: string;
  readonly operation: string;
  readonly key: string;
  /** SHA-256 of the request's meaning; the same key with another fingerprint is a mistake of the client. */
  readonly fingerprint: string;
}

/** What was answered, to be repeated word for word. */
export interface StoredAnswer {
  readonly fingerprint: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** A new order with the event that announces it, and the answer to keep when the client named an idempotency key. */
export interface Placement {
  readonly order: Order;
  readonly event: Event;
  /** SHA-256 of what was asked for, so that the same id with other content is told apart. */
  readonly fingerprint: string;
  readonly idempotency?: { readonly key: IdempotencyKey; readonly answer: StoredAnswer };
}

export type PlacementOutcome =
  | { readonly outcome: 'placed' }
  | { readonly outcome: 'answered'; readonly answer: StoredAnswer }
  | { readonly outcome: 'id-taken'; readonly order: Order; readonly fingerprint: string };

export interface OrderQuery {
  readonly status?: OrderStatus;
  /** Created at or after, and before: epoch ms. */
  readonly createdFrom?: number;
  readonly createdBefore?: number;
  /** Only orders older than this one, so the pages go from the newest to the oldest. */
  readonly after?: { readonly createdAt: number; readonly id: OrderId };
  readonly limit: number;
}

/** An order that waits for its time, or one of its timers. */
export interface Waiting {
  readonly orderId: OrderId;
  /** Absent where the order itself waits. */
  readonly kind?: TimerKind;
  /** Epoch ms. */
  readonly dueAt: number;
}

export interface OrderStore {
  /** Stores each order, its event and its answer, all in one transaction; an outcome for each, in the same order. */
  place(placements: readonly Placement[]): Promise<PlacementOutcome[]>;
  /** Stores the answer to a key that named an order placed before; an answer that is there already stays. */
  keepAnswer(key: IdempotencyKey, answer: StoredAnswer): Promise<void>;
  /** Those of the orders that exist, in no particular order. */
  find(ids: readonly OrderId[]): Promise<Order[]>;
  /** Newest first. */
  list(query: OrderQuery): Promise<Order[]>;
  /** Orders between PROCESSING and their end, in pages. */
  inFlight(): AsyncIterable<Order[]>;
  /** Orders that are still to be dispatched, nearest due first, in pages; due within [from, to), epoch ms. */
  waiting(window: { from: number; to: number }): AsyncIterable<Waiting[]>;
  /** Of these orders, the ones that are still to be dispatched. */
  stillWaiting(ids: readonly OrderId[]): Promise<Waiting[]>;
}

// --- the stream

export interface Delivery {
  readonly topic: string;
  /** The order id, for records of the system's own topics. */
  readonly key: string;
  /** Names this record where it carries no event id of its own. */
  readonly position: string;
  /** The parsed JSON, or the text that could not be parsed. */
  readonly record: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** What `parseEvent` made of the record, for the next consumer that is handed it. */
  parsed?: ReturnType<typeof parseEvent>;
}

/** A record for a topic of a broker. */
export interface OutgoingRecord {
  readonly topic: string;
  readonly key: string;
  /** JSON. */
  readonly value: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** Where the relay sends the event log to. */
export interface RecordSink {
  /** Resolves once every record is stored by all in-sync replicas; records of one key keep their order. */
  send(records: readonly OutgoingRecord[]): Promise<void>;
}

export interface Batch {
  readonly deliveries: readonly Delivery[];
  /** Records the reader's progress in the transaction of the effects; does nothing where the stream keeps it itself. */
  settle(tx: Transaction): Promise<void>;
}

export interface Subscription {
  /** The consumer's name; members of one group share the work. */
  readonly group: string;
  readonly topics: readonly string[];
  /** Event types that this consumer handles; others are passed over unread. */
  readonly types: readonly string[];
  /** At most so many deliveries a batch. */
  readonly batchSize?: number;
  /** Resolves when the batch has taken effect. On rejection the same batch is delivered again, after a pause. */
  readonly handle: (batch: Batch) => Promise<void>;
}

export interface EventBus {
  /** Resolves once every event is stored by the stream. Publishing an event id again is harmless. */
  publish(events: readonly Event[]): Promise<void>;
  /** Reads from the oldest record on, in order for each key. The returned function stops it, after the batch at hand. */
  subscribe(subscription: Subscription): Promise<() => Promise<void>>;
  /** Undefined while all is well, else what is wrong. */
  fault(): string | undefined;
  close(): Promise<void>;
}

/** A place in the event log: (transaction id, position), both as decimal text since they exceed a double. */
export interface LogPosition {
  readonly transactionId: string;
  readonly position: string;
}

export const BEGINNING: LogPosition = { transactionId: '0', position: '0' };

/** Records of these types, and those that were put on one of these topics by hand or that others write. */
export interface LogFilter {
  readonly topics: ReadonlySet<string>;
  readonly types: ReadonlySet<string>;
}

export interface LogPage {
  readonly deliveries: readonly Delivery[];
  readonly to: LogPosition;
  /** More can be read at once. */
  readonly full: boolean;
  /** Events stand beyond the horizon: a transaction that began earlier is still open, so look again soon. */
  readonly held: boolean;
}

/** The event log as a stream; the Postgres bus and the relay to Kafka read it. */
export interface EventLog {
  append(events: readonly Event[]): Promise<void>;
  /** Where a consumer stands; at the beginning, if it is new. */
  cursor(consumer: string): Promise<LogPosition>;
  /** The next page of what is wanted after a position, of `limit` records at most. */
  read(from: LogPosition, filter: LogFilter, limit: number): Promise<LogPage>;
  /** True while this process is the one that may read for the consumer; taken over when the other's connection is gone. */
  lead(consumer: string): Promise<boolean>;
  resign(consumer: string): Promise<void>;
  /** Calls back whenever something may have been appended. */
  onAppend(listener: () => void): () => void;
  /** Deletes events that every cursor has passed and that are older than this, epoch ms; returns how many. */
  prune(before: number): Promise<number>;
  close(): Promise<void>;
}

// --- dead letters

export interface BuriedLetter {
  readonly consumer: string;
  readonly eventId: string;
  readonly orderId: string;
  readonly topic: string;
  readonly record: unknown;
  /** Why it could not be handled; absent for a delivery that is only parked behind another. */
  readonly error?: string;
  readonly retryCount: number;
}

export interface DeadLetter extends BuriedLetter {
  readonly id: string;
  readonly createdAt: number;
}

export interface DeadLetters {
  /** Which of these events a consumer has handled, and which of these orders have letters buried. */
  screen(
    consumer: string,
    eventIds: readonly string[],
    orderIds: readonly string[],
  ): Promise<{ seen: Set<string>; parked: Set<string> }>;
  /** Dead ones, by id; of one consumer where it is named. */
  list(query: { limit: number; after?: string; consumer?: string }): Promise<DeadLetter[]>;
  find(id: string): Promise<DeadLetter | undefined>;
  /** Asks the letter's consumer to handle it again; false where there is no such letter. */
  requestReplay(id: string): Promise<boolean>;
  /** Gives the letter up and lets what is parked behind it go on; false where there is no such letter. */
  discard(id: string): Promise<boolean>;
  /** All letters of one order whose replay was asked for, oldest first; empty when there is none. */
  requested(consumer: string): Promise<DeadLetter[]>;
  /** A replay failed: the letter stays, with its new fault, and so does what is parked behind it. */
  keep(letter: DeadLetter, fault: string): Promise<void>;
}

/** All dead letters of a consumer at once, for where they have one cause. Both return how many there were. */
export interface DeadLetterGroups {
  requestReplayOf(consumer: string): Promise<number>;
  /** What is parked behind them goes on. */
  discardAllOf(consumer: string): Promise<number>;
}
