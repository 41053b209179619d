/** The interface of a consumer: the events it reads, and how it handles a batch of them. */
import type { Event, EventOf, EventType } from '../../domain/events.ts';
import type { Transaction } from '../ports.ts';
import type { Delivery } from './ports.ts';

/** A named reader of the stream. It handles a batch in two optional steps: `perform`, then `apply`. */
export interface Consumer<T extends EventType = EventType, P = unknown> {
  readonly name: string;
  readonly topics: readonly string[];
  readonly types: readonly T[];
  readonly batchSize?: number;
  /** True if handling an event twice is harmless; then processed events are not marked. */
  readonly isIdempotent?: true;
  /**
   * Converts an external system's record to an event; undefined for a record to skip. The event's id must be the same for
   * each delivery of the record, so it is derived from the record's position if the record has none.
   */
  readonly read?: (delivery: Delivery) => { readonly event: Event } | { readonly fault: string } | undefined;
  /** Runs outside the transaction and may call the network. It may run again for the same events, so it must be idempotent. */
  readonly perform?: (events: readonly EventOf<T>[]) => Promise<P>;
  /**
   * Runs in the transaction, with the result of `perform`; takes effect once per event. Returns the events that follow.
   * Work given to `afterCommit` runs after the commit, and is lost if the process dies before.
   */
  readonly apply?: (
    tx: Transaction,
    events: readonly EventOf<T>[],
    performed: P,
    afterCommit: (work: () => Promise<void>) => void,
  ) => Promise<readonly Event[]>;
}

/** A consumer of any event types, for lists of consumers. */
// biome-ignore lint/suspicious/noExplicitAny: a consumer is contravariant in its events, and only `define` sees their types
export type AnyConsumer = Consumer<any, any>;
