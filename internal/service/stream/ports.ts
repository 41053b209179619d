/** The ports of the stream: the event bus, the event log behind it, and the dead letters. */
import type { Event, parseEvent } from '../../domain/events.ts';
import type { DeadLetter, LogPosition, Transaction } from '../ports.ts';

/** One record as it was read from a topic; the same event may be delivered many times. */
export interface Delivery {
  readonly topic: string;
  /** The order id on Tiffin's own topics. */
  readonly key: string;
  /** Unique on the topic and the same for each delivery; identifies a record that has no event id. */
  readonly position: string;
  /** The parsed JSON, or the text that could not be parsed. */
  readonly record: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** The cached result of `parseEvent` for the next consumer. */
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

/** The broker to which the relay sends the event log. */
export interface RecordSink {
  /** Resolves when all in-sync replicas have stored every record; records of one key keep their order. */
  send(records: readonly OutgoingRecord[]): Promise<void>;
}

export interface Batch {
  readonly deliveries: readonly Delivery[];
  /** Moves the consumer's cursor in the transaction of the effects; does nothing on Kafka, where the offset is committed later. */
  settle(tx: Transaction): Promise<void>;
}

export interface Subscription {
  /** The consumer's name; members of one group share the work. */
  readonly group: string;
  readonly topics: readonly string[];
  /** Event types that this consumer handles; other events are skipped. */
  readonly types: readonly string[];
  /** The largest number of deliveries in a batch. */
  readonly batchSize?: number;
  /** Resolves when the batch has taken effect. If it rejects, the batch is redelivered after a backoff. */
  readonly handle: (batch: Batch) => Promise<void>;
}

export interface EventBus {
  /** Resolves when the stream has stored every event. Publishing an event twice is harmless. */
  publish(events: readonly Event[]): Promise<void>;
  /** Delivers records from the oldest on, in order for each key. The returned function stops after the current batch. */
  subscribe(subscription: Subscription): Promise<() => Promise<void>>;
  /** Describes the current fault; undefined while there is none. */
  fault(): string | undefined;
  /** The consumers of this process, and why one handles nothing at present. */
  faults(): ReadonlyMap<string, string | undefined>;
  close(): Promise<void>;
}

/** Selects events of these types, and records that were appended to one of these topics directly. */
export interface LogFilter {
  readonly topics: ReadonlySet<string>;
  readonly types: ReadonlySet<string>;
}

export interface LogPage {
  readonly deliveries: readonly Delivery[];
  /** The position after the page. */
  readonly to: LogPosition;
  /** True if the next page can be read at once. */
  readonly full: boolean;
  /** True if later events are hidden behind the horizon, that is an older transaction which is still open; read again soon. */
  readonly held: boolean;
}

/** The event log as a stream; the Postgres bus and the relay to Kafka read it. */
export interface EventLog {
  append(events: readonly Event[]): Promise<void>;
  /** The cursor of a consumer; BEGINNING for a new one. */
  cursor(consumer: string): Promise<LogPosition>;
  /** The next page of matching records after `from`, with at most `limit` records. */
  read(from: LogPosition, filter: LogFilter, limit: number): Promise<LogPage>;
  /** True if this process holds the consumer's leadership; it passes to another process when this one's connection ends. */
  lead(consumer: string): Promise<boolean>;
  resign(consumer: string): Promise<void>;
  /** Calls `listener` whenever events may have been appended; returns a function that removes it. */
  onAppend(listener: () => void): () => void;
  close(): Promise<void>;
}

/** The dead letters and the events parked behind them. */
export interface DeadLetters {
  /** `seen` are the events that the consumer has processed, `parked` the orders for which it has dead letters. */
  screen(
    consumer: string,
    eventIds: readonly string[],
    orderIds: readonly string[],
  ): Promise<{ seen: Set<string>; parked: Set<string> }>;
  /** Dead letters without parked events, ordered by id, after the id `after`. */
  list(query: { limit: number; after?: string } & Partial<LetterGroup>): Promise<DeadLetter[]>;
  /** `recordText` is the record's JSON as it is stored, with every digit of its numbers. */
  find(id: string): Promise<(DeadLetter & { readonly recordText: string }) | undefined>;
  /** Requests a replay by the letter's consumer, with the events parked behind it; false if there is no such letter. */
  requestReplay(id: string): Promise<boolean>;
  /** Deletes the letter and requests a replay of the events parked behind it; false if there is no such letter. */
  discard(id: string): Promise<boolean>;
  /** The letters of one order with a requested replay, oldest first; empty if there is none. */
  requested(consumer: string): Promise<DeadLetter[]>;
  /** Stores the new fault of a letter whose replay failed, and withdraws the request for the events parked behind it. */
  recordFailure(letter: DeadLetter, fault: string): Promise<void>;
}

/** Dead letters of one consumer; with `error`, those whose error begins with the same ERROR_LENGTH characters. */
export interface LetterGroup {
  readonly consumer: string;
  readonly error?: string;
}

/** How many characters of an error tell groups apart. */
export const ERROR_LENGTH = 200;

export interface CountedGroup extends Required<LetterGroup> {
  readonly count: number;
  /** How many of them wait for a replay that was requested. */
  readonly replaying: number;
  /** Epoch ms. */
  readonly firstAt: number;
  readonly lastAt: number;
}

/** Operations on groups of dead letters. */
export interface DeadLetterGroups {
  /** The largest groups among the newest letters; `isComplete` is false if there may be others. */
  groups(): Promise<{ readonly groups: readonly CountedGroup[]; readonly isComplete: boolean }>;
  /** Requests a replay of the letters, each with the events parked behind it; returns the number of letters. */
  requestReplayOf(group: LetterGroup): Promise<number>;
  /** Discards the letters, and returns their number. The events parked behind them are replayed. */
  discardAllOf(group: LetterGroup): Promise<number>;
}
