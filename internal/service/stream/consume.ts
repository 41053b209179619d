/** The consumer wrapper: applies each event once although delivery is at least once, and turns poison events into dead letters. */
import { setTimeout as pause } from 'node:timers/promises';
import { faultOf, isTransient } from '../../domain/errors.ts';
import type { Event } from '../../domain/events.ts';
import { backoffMs, MAX_ATTEMPTS } from '../../domain/retry.ts';
import type { Clock, Log, Meter, NewDeadLetter, Transaction, Transactions } from '../ports.ts';
import type { AnyConsumer } from './consumer.ts';
import type { Batch, DeadLetters, Subscription } from './ports.ts';
import { type Reading, readDeliveries } from './read-deliveries.ts';

export interface ConsumeDeps {
  readonly clock: Clock;
  readonly transactions: Transactions;
  readonly deadLetters: Pick<DeadLetters, 'screen'>;
  readonly log: Log;
  readonly meter: Meter;
}

type Settle = Batch['settle'];
const NOTHING_TO_SETTLE: Settle = async () => {};

/** The subscription of a consumer, on either stream. */
export function subscriptionOf(deps: ConsumeDeps, consumer: AnyConsumer): Subscription {
  return {
    group: consumer.name,
    topics: consumer.topics,
    types: consumer.types,
    ...(consumer.batchSize === undefined ? {} : { batchSize: consumer.batchSize }),
    async handle(batch) {
      const started = performance.now();
      const reading = readDeliveries(consumer, batch.deliveries, deps.clock.now());
      for (const letter of reading.unreadable) await addDeadLetter(deps, letter);
      await handleEvents(deps, consumer, reading, (tx) => batch.settle(tx));
      deps.meter.count('events_consumed', reading.events.length, { consumer: consumer.name });
      deps.meter.observe('batch_duration', (performance.now() - started) / 1000, { consumer: consumer.name });
    },
  };
}

async function handleEvents(
  deps: ConsumeDeps,
  consumer: AnyConsumer,
  reading: Reading,
  settle: Settle,
): Promise<void> {
  const { events } = reading;
  try {
    await handleTogether(deps, consumer, reading, settle);
  } catch (error) {
    if (isTransient(error)) throw error;
    deps.log.warn(
      { consumer: consumer.name, events: events.length, err: error },
      'a batch failed; its events are retried one by one',
    );
    for (const event of events) await handleAlone(deps, consumer, { ...reading, events: [event] });
    await deps.transactions.run(settle);
  }
}

/** Applies all events and settles the batch in one transaction. Events of an order with a dead letter are parked. */
async function handleTogether(
  deps: ConsumeDeps,
  consumer: AnyConsumer,
  { events, letterOf }: Reading,
  settle: Settle,
): Promise<void> {
  const { seen, parked } = await screen(deps, consumer, events);
  const unseen = events.filter((event) => !seen.has(event.eventId));
  const applicable = unseen.filter((event) => !parked.has(event.orderId));
  const toPark = unseen.filter((event) => parked.has(event.orderId));
  const performed = applicable.length > 0 ? await consumer.perform?.(applicable) : undefined;
  let afterwards: (() => Promise<void>)[] = [];
  await deps.transactions.run(async (tx) => {
    afterwards = [];
    await settle(tx);
    const ids = unseen.map((event) => event.eventId);
    const claimed = consumer.isIdempotent ? new Set(ids) : await tx.claimEvents(consumer.name, ids);
    const isClaimed = (event: Event) => claimed.has(event.eventId);
    await applyTo(consumer, tx, applicable.filter(isClaimed), performed, (work) => afterwards.push(work));
    await tx.deadLetters.add(toPark.filter(isClaimed).map(letterOf));
  });
  await runAfterwards(deps, consumer, afterwards);
}

/** Which events were processed before, and which orders have dead letters. */
async function screen(deps: ConsumeDeps, consumer: AnyConsumer, events: readonly Event[]) {
  if (events.length === 0) return { seen: new Set<string>(), parked: new Set<string>() };
  // The claim in the transaction finds processed events anyway; only `perform` needs to know them before it.
  return deps.deadLetters.screen(
    consumer.name,
    consumer.perform && !consumer.isIdempotent ? events.map((event) => event.eventId) : [],
    [...new Set(events.map((event) => event.orderId))],
  );
}

/** Calls the consumer's `apply` and appends the events that follow. */
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

/** Runs the work that was deferred until the commit. A fault is only logged, since the batch has already taken effect. */
export async function runAfterwards(
  { log }: ConsumeDeps,
  consumer: AnyConsumer,
  works: readonly (() => Promise<void>)[],
): Promise<void> {
  for (const work of works) {
    await work().catch((error) =>
      log.warn({ consumer: consumer.name, err: error }, 'work after a commit failed'),
    );
  }
}

/** Handles one event in a transaction of its own, up to MAX_ATTEMPTS times; then it becomes a dead letter. */
async function handleAlone(deps: ConsumeDeps, consumer: AnyConsumer, reading: Reading): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await handleTogether(deps, consumer, reading, NOTHING_TO_SETTLE);
    } catch (error) {
      if (isTransient(error)) throw error;
      if (attempt === MAX_ATTEMPTS) {
        const [event] = reading.events as [Event];
        const letter = { ...reading.letterOf(event), error: faultOf(error), retryCount: MAX_ATTEMPTS };
        return addDeadLetter(deps, letter);
      }
      await pause(backoffMs(attempt));
    }
  }
}

async function addDeadLetter(deps: ConsumeDeps, letter: NewDeadLetter): Promise<void> {
  try {
    await storeDeadLetter(deps, letter);
  } catch (error) {
    if (isTransient(error)) throw error;
    // The record itself may be impossible to store; the dead letter is then added without it.
    deps.log.warn(
      { consumer: letter.consumer, event: letter.eventId, err: error },
      'the record of a dead letter could not be stored',
    );
    await storeDeadLetter(deps, { ...letter, record: 'this record could not be stored' });
  }
}

async function storeDeadLetter(
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
