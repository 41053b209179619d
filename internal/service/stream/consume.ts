/** The consumer wrapper: makes at-least-once delivery take effect once, isolates poison, and parks what must wait behind it. */
import { setTimeout as pause } from 'node:timers/promises';
import { isTransient } from '../../domain/errors.ts';
import type { Event } from '../../domain/events.ts';
import { backoffMs, MAX_ATTEMPTS } from '../../domain/retry.ts';
import type { Log, Meter, NewDeadLetter, Transaction, Transactions } from '../ports.ts';
import type { AnyConsumer } from './consumer.ts';
import type { Batch, DeadLetters, Subscription } from './ports.ts';
import { letterOf, readDeliveries } from './read-deliveries.ts';

export interface ConsumeDeps {
  readonly transactions: Transactions;
  readonly deadLetters: DeadLetters;
  readonly log: Log;
  readonly meter: Meter;
}

type Settle = Batch['settle'];
const NOTHING_TO_SETTLE: Settle = async () => {};

/** The subscription of a consumer, for any stream. */
export function subscriptionOf(deps: ConsumeDeps, consumer: AnyConsumer): Subscription {
  return {
    group: consumer.name,
    topics: consumer.topics,
    types: consumer.types,
    ...(consumer.batchSize === undefined ? {} : { batchSize: consumer.batchSize }),
    async handle(batch) {
      const started = performance.now();
      let events = 0;
      for (const run of readDeliveries(consumer, batch.deliveries)) {
        events += run.events.length;
        if (run.poison) {
          await handleRun(deps, consumer, run.events, NOTHING_TO_SETTLE);
          await addUnreadable(deps, consumer, run.poison);
        } else {
          await handleRun(deps, consumer, run.events, (tx) => batch.settle(tx));
        }
      }
      deps.meter.count('events_consumed', events, { consumer: consumer.name });
      deps.meter.observe('batch_duration', (performance.now() - started) / 1000, { consumer: consumer.name });
    },
  };
}

async function handleRun(
  deps: ConsumeDeps,
  consumer: AnyConsumer,
  events: readonly Event[],
  settle: Settle,
): Promise<void> {
  try {
    await handleTogether(deps, consumer, events, settle);
  } catch (error) {
    if (isTransient(error)) throw error;
    deps.log.warn(
      { consumer: consumer.name, events: events.length, err: error },
      'a batch failed; its events are tried one by one',
    );
    for (const event of events) await handleAlone(deps, consumer, event);
    await deps.transactions.run(settle);
  }
}

/** All events take effect in one transaction, with the reader's progress. */
async function handleTogether(
  deps: ConsumeDeps,
  consumer: AnyConsumer,
  events: readonly Event[],
  settle: Settle,
): Promise<void> {
  const { seen, parked } = await screen(deps, consumer, events);
  const fresh = events.filter((event) => !seen.has(event.eventId));
  const flowing = fresh.filter((event) => !parked.has(event.orderId));
  const waiting = fresh.filter((event) => parked.has(event.orderId));
  const performed = flowing.length > 0 ? await consumer.perform?.(flowing) : undefined;
  let afterwards: (() => Promise<void>)[] = [];
  await deps.transactions.run(async (tx) => {
    afterwards = [];
    await settle(tx);
    const ids = fresh.map((event) => event.eventId);
    const claimed = consumer.isIdempotent ? new Set(ids) : await tx.claimEvents(consumer.name, ids);
    const isClaimed = (event: Event) => claimed.has(event.eventId);
    await applyTo(consumer, tx, flowing.filter(isClaimed), performed, (work) => afterwards.push(work));
    await tx.deadLetters.add(waiting.filter(isClaimed).map((event) => letterOf(consumer, event)));
  });
  await runAfterwards(deps, consumer, afterwards);
}

async function screen(deps: ConsumeDeps, consumer: AnyConsumer, events: readonly Event[]) {
  if (events.length === 0) return { seen: new Set<string>(), parked: new Set<string>() };
  // Claiming finds what was handled before; only work outside the transaction must know it sooner.
  return deps.deadLetters.screen(
    consumer.name,
    consumer.perform && !consumer.isIdempotent ? events.map((event) => event.eventId) : [],
    [...new Set(events.map((event) => event.orderId))],
  );
}

/** Has the events applied, and appends what follows from them. */
export async function applyTo(
  consumer: AnyConsumer,
  tx: Transaction,
  events: readonly Event[],
  performed: unknown,
  afterCommit: (work: () => Promise<void>) => void,
): Promise<void> {
  if (events.length === 0) return;
  await tx.appendEvents((await consumer.apply?.(tx, events, performed, afterCommit)) ?? []);
}

/** What is stored is stored, so a fault here is no reason to handle the batch again. */
export async function runAfterwards(
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

/** By itself, so that one poisonous event cannot hold up its neighbours; what took effect before is passed over. */
async function handleAlone(deps: ConsumeDeps, consumer: AnyConsumer, event: Event): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await handleTogether(deps, consumer, [event], NOTHING_TO_SETTLE);
    } catch (error) {
      if (isTransient(error)) throw error;
      if (attempt === MAX_ATTEMPTS) {
        return addDeadLetter(deps, {
          ...letterOf(consumer, event),
          error: faultOf(error),
          retryCount: MAX_ATTEMPTS,
        });
      }
      await pause(backoffMs(attempt));
    }
  }
}

async function addUnreadable(deps: ConsumeDeps, consumer: AnyConsumer, letter: NewDeadLetter): Promise<void> {
  try {
    await addDeadLetter(deps, letter);
  } catch (error) {
    if (isTransient(error)) throw error;
    // What cannot even be stored must not hold up the rest either.
    deps.log.warn(
      { consumer: consumer.name, event: letter.eventId, err: error },
      'a record could not be stored as it is',
    );
    await addDeadLetter(deps, { ...letter, record: 'this record could not be stored' });
  }
}

async function addDeadLetter(
  { transactions, log, meter }: ConsumeDeps,
  letter: NewDeadLetter,
): Promise<void> {
  const { consumer, eventId, orderId, error } = letter;
  const isNew = await transactions.run(async (tx) => {
    const claimed = await tx.claimEvents(consumer, [eventId]);
    if (claimed.size > 0) await tx.deadLetters.add([letter]);
    return claimed.size > 0;
  });
  if (!isNew) return;
  meter.count('dead_letters', 1, { consumer });
  log.warn({ consumer, order: orderId, event: eventId, fault: error }, 'an event became a dead letter');
}

export function faultOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
