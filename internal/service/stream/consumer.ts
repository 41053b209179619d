/** The shape of a consumer: which events it reads, and what it does with a batch of them. */
import type { Event, EventOf, EventType } from '../../domain/events.ts';
import type { Transaction } from '../ports.ts';
import type { Delivery } from './ports.ts';

/** A named reader of the stream, in two steps, each of which may be left out. */
export interface Consumer<T extends EventType = EventType, P = unknown> {
  readonly name: string;
  readonly topics: readonly string[];
  readonly types: readonly T[];
  readonly batchSize?: number;
  /** All it does may be done again: then it need not be remembered which events it has had. */
  readonly isIdempotent?: true;
  /**
   * Reads records that others put on these topics in a form of their own, as events; undefined for one to be passed over.
   * `eventId` and `orderId` are derived from where the record stands, the same for each delivery of it.
   */
  readonly read?: (delivery: Delivery) => { readonly event: Event } | { readonly fault: string } | undefined;
  /** Outside the transaction, for what reaches over the network; it may run again for the same events, so it must be idempotent. */
  readonly perform?: (events: readonly EventOf<T>[]) => Promise<P>;
  /**
   * Inside the transaction, with what `perform` returned; once per event. Returns the events that follow from it. Work
   * handed to `afterCommit` runs once this is stored, and may be lost in a crash.
   */
  readonly apply?: (
    tx: Transaction,
    events: readonly EventOf<T>[],
    performed: P,
    afterCommit: (work: () => Promise<void>) => void,
  ) => Promise<readonly Event[]>;
}

/** Lets consumers of different event types stand in one list. */
// biome-ignore lint/suspicious/noExplicitAny: a consumer is contravariant in its events, and only `define` sees their types
export type AnyConsumer = Consumer<any, any>;
