/** The ports of the stream: what carries events between services, the event log behind it, and its dead letters. */
import type { Event, parseEvent } from '../../domain/events.ts';
import type { DeadLetter, LogPosition, Transaction } from '../ports.ts';

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
  close(): Promise<void>;
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
  recordFailure(letter: DeadLetter, fault: string): Promise<void>;
}

/** All dead letters of a consumer at once, for where they have one cause. Both return how many there were. */
export interface DeadLetterGroups {
  requestReplayOf(consumer: string): Promise<number>;
  /** What is parked behind them goes on. */
  discardAllOf(consumer: string): Promise<number>;
}
