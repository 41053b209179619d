/** The consumer wrapper: makes at-least-once delivery take effect once, isolates poison, and parks what must wait behind it. */
import { setTimeout as pause } from 'node:timers/promises';
import { isTransient } from '../domain/errors.ts';
import { type Event, type EventOf, type EventType, parseEvent } from '../domain/events.ts';
import { backoffMs, MAX_ATTEMPTS } from '../domain/retry.ts';
import type {
  Batch,
  BuriedLetter,
  DeadLetter,
  DeadLetters,
  Delivery,
  Log,
  Meter,
  Subscription,
  Transaction,
  Transactions,
} from './ports.ts';

export interface ConsumeDeps {
  readonly transactions: Transactions;
  readonly deadLetters: DeadLetters;
  readonly log: Log;
  readonly meter: Meter;
}

/** A named reader of the stream, in two steps, each of which may be left out. */
export interface Consumer<T extends EventType = EventType, P = unknown> {
  readonly name: string;
  readonly topics: readonly string[];
  readonly types: readonly T[];
  readonly batchSize?: number;
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

interface Read {
  readonly events: readonly Event[];
  readonly poison: readonly BuriedLetter[];
}

/** The subscription of a consumer, for any stream. */
export function subscriptionOf(deps: ConsumeDeps, consumer: AnyConsumer): Subscription {
  return {
    group: consumer.name,
    topics: consumer.topics,
    types: consumer.types,
    ...(consumer.batchSize === undefined ? {} : { batchSize: consumer.batchSize }),
    async handle(batch) {
      const started = performance.now();
      const read = readDeliveries(consumer, batch.deliveries);
      try {
        await handleTogether(deps, consumer, read, (tx) => batch.settle(tx));
      } catch (error) {
        if (isTransient(error)) throw error;
        deps.log.warn(
          { consumer: consumer.name, events: read.events.length, err: error },
          'a batch failed; its events are tried one by one',
        );
        await handleOneByOne(deps, consumer, read, batch);
      }
      deps.meter.count('events_consumed', read.events.length, { consumer: consumer.name });
      deps.meter.observe('batch_duration', (performance.now() - started) / 1000, { consumer: consumer.name });
    },
  };
}

function readDeliveries(consumer: AnyConsumer, deliveries: readonly Delivery[]): Read {
  const events = new Map<string, Event>();
  const poison: BuriedLetter[] = [];
  for (const delivery of deliveries) {
    const type = (delivery.record as { eventType?: unknown } | null)?.eventType;
    // A type this consumer does not handle may well be newer than this program.
    if (typeof type === 'string' && !consumer.types.includes(type as EventType)) continue;
    const parsed = parseEvent(delivery.record);
    if ('event' in parsed) events.set(parsed.event.eventId, parsed.event);
    else poison.push(letterOf(consumer, delivery, parsed.fault));
  }
  return { events: [...events.values()], poison };
}

function letterOf(
  consumer: AnyConsumer,
  { topic, key, position, record }: Delivery,
  error: string,
): BuriedLetter {
  return {
    consumer: consumer.name,
    eventId: `${topic}/${position}`.slice(0, 128),
    orderId: key.slice(0, 64),
    topic,
    record,
    error,
    retryCount: 0,
  };
}

/** All events of a batch take effect in one transaction, with the reader's progress. */
async function handleTogether(
  deps: ConsumeDeps,
  consumer: AnyConsumer,
  { events, poison }: Read,
  settle: (tx: Transaction) => Promise<void>,
): Promise<void> {
  const { seen, parked } = await screen(deps, consumer, events);
  const fresh = events.filter((event) => !seen.has(event.eventId));
  const flowing = fresh.filter((event) => !parked.has(event.orderId));
  const waiting = fresh
    .filter((event) => parked.has(event.orderId))
    .map((event) => parkedLetter(consumer, event));
  const performed = flowing.length > 0 ? await consumer.perform?.(flowing) : undefined;
  let afterwards: (() => Promise<void>)[] = [];
  const buried = await deps.transactions.run(async (tx) => {
    afterwards = [];
    await settle(tx);
    const claimed = await tx.claimEvents(consumer.name, [
      ...fresh.map((event) => event.eventId),
      ...poison.map((letter) => letter.eventId),
    ]);
    const claimedEvents = flowing.filter((event) => claimed.has(event.eventId));
    if (claimedEvents.length > 0)
      await tx.appendEvents(
        (await consumer.apply?.(tx, claimedEvents, performed, (work) => afterwards.push(work))) ?? [],
      );
    const letters = [...waiting, ...poison].filter((letter) => claimed.has(letter.eventId));
    await tx.letters.bury(letters);
    return letters;
  });
  for (const letter of buried) if (letter.error !== undefined) reportDead(deps, letter);
  await runAfterwards(deps, consumer, afterwards);
}

/** What is stored is stored, so a fault here is no reason to handle the batch again. */
async function runAfterwards(
  { log }: ConsumeDeps,
  consumer: AnyConsumer,
  works: readonly (() => Promise<void>)[],
): Promise<void> {
  for (const work of works) {
    await work().catch((error) =>
      log.warn({ consumer: consumer.name, err: error }, 'work after a commit was left undone'),
    );
  }
}

async function screen(deps: ConsumeDeps, consumer: AnyConsumer, events: readonly Event[]) {
  if (events.length === 0) return { seen: new Set<string>(), parked: new Set<string>() };
  return deps.deadLetters.screen(
    consumer.name,
    events.map((event) => event.eventId),
    [...new Set(events.map((event) => event.orderId))],
  );
}

/** So that one poisonous event cannot hold up its neighbours; what already took effect is passed over when a crash repeats this. */
async function handleOneByOne(
  deps: ConsumeDeps,
  consumer: AnyConsumer,
  { events, poison }: Read,
  batch: Batch,
): Promise<void> {
  for (const event of events) {
    const fault = await tryRepeatedly(deps, consumer, event);
    if (fault === undefined) continue;
    const letter = { ...parkedLetter(consumer, event), error: fault, retryCount: MAX_ATTEMPTS };
    await deps.transactions.run(async (tx) => {
      const claimed = await tx.claimEvents(consumer.name, [event.eventId]);
      if (claimed.size > 0) await tx.letters.bury([letter]);
    });
    reportDead(deps, letter);
  }
  const settle: Batch['settle'] = (tx) => batch.settle(tx);
  try {
    await handleTogether(deps, consumer, { events: [], poison }, settle);
  } catch (error) {
    if (isTransient(error)) throw error;
    // What cannot even be stored must not hold up the rest either.
    const empty = poison.map((letter) => ({ ...letter, record: 'this record could not be stored' }));
    await handleTogether(deps, consumer, { events: [], poison: empty }, settle);
  }
}

/** Undefined once it took effect, else the fault of the last attempt. */
async function tryRepeatedly(
  deps: ConsumeDeps,
  consumer: AnyConsumer,
  event: Event,
): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      await handleTogether(deps, consumer, { events: [event], poison: [] }, async () => {});
      return undefined;
    } catch (error) {
      if (isTransient(error)) throw error;
      if (attempt === MAX_ATTEMPTS) return faultOf(error);
      await pause(backoffMs(attempt));
    }
  }
}

function parkedLetter(consumer: AnyConsumer, event: Event): BuriedLetter {
  return {
    consumer: consumer.name,
    eventId: event.eventId,
    orderId: event.orderId,
    topic: topicOf(consumer),
    record: event,
    retryCount: 0,
  };
}

function topicOf(consumer: AnyConsumer): string {
  return consumer.topics[0] ?? '';
}

function reportDead({ log, meter }: ConsumeDeps, letter: BuriedLetter): void {
  meter.count('dead_letters', 1, { consumer: letter.consumer });
  log.warn(
    { consumer: letter.consumer, order: letter.orderId, event: letter.eventId, fault: letter.error },
    'an event became a dead letter',
  );
}

function faultOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Handles again, in order, the letters of one order whose replay was asked for; returns how many took effect. */
export async function replayLetters(deps: ConsumeDeps, consumer: AnyConsumer): Promise<number> {
  let replayed = 0;
  for (const letter of await deps.deadLetters.requested(consumer.name)) {
    const fault = await replay(deps, consumer, letter);
    if (fault !== undefined) {
      await deps.deadLetters.keep(letter, fault);
      deps.log.warn(
        { consumer: consumer.name, order: letter.orderId, letter: letter.id, fault },
        'a dead letter failed again',
      );
      break;
    }
    replayed += 1;
  }
  return replayed;
}

async function replay(
  deps: ConsumeDeps,
  consumer: AnyConsumer,
  letter: DeadLetter,
): Promise<string | undefined> {
  const parsed = parseEvent(letter.record);
  if (!('event' in parsed)) return parsed.fault;
  try {
    const performed = await consumer.perform?.([parsed.event]);
    const afterwards: (() => Promise<void>)[] = [];
    await deps.transactions.run(async (tx) => {
      if (!(await tx.letters.remove(letter.id))) return;
      await tx.appendEvents(
        (await consumer.apply?.(tx, [parsed.event], performed, (work) => afterwards.push(work))) ?? [],
      );
    });
    await runAfterwards(deps, consumer, afterwards);
    return undefined;
  } catch (error) {
    if (isTransient(error)) throw error;
    return faultOf(error);
  }
}
