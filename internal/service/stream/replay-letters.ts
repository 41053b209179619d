/** Replays dead letters at an operator's request. */
import { faultOf, isTransient } from '../../domain/errors.ts';
import { type Event, parseEvent } from '../../domain/events.ts';
import type { DeadLetter, Transaction } from '../ports.ts';
import { applyTo, type ConsumeDeps, runAfterwards } from './consume.ts';
import type { AnyConsumer } from './consumer.ts';
import { withinTenYears } from './external-records.ts';
import type { DeadLetters } from './ports.ts';
import { positionOf, readDelivery } from './read-deliveries.ts';

export interface ReplayDeps extends ConsumeDeps {
  readonly deadLetters: DeadLetters;
}

/** Replays, in order, the dead letters and parked events of one order up to the first that fails; returns how many succeeded. */
export async function replayLetters(deps: ReplayDeps, consumer: AnyConsumer): Promise<number> {
  let replayed = 0;
  for (const letter of await deps.deadLetters.requested(consumer.name)) {
    const fault = await replay(deps, consumer, letter);
    if (fault !== undefined) {
      await deps.deadLetters.recordFailure(letter, fault);
      const fields = { consumer: consumer.name, order: letter.orderId, letter: letter.id, fault };
      deps.log.warn(fields, 'a replayed dead letter failed');
      break;
    }
    replayed += 1;
  }
  return replayed;
}

/** The fault of the replay; undefined if it succeeded. */
async function replay(
  deps: ReplayDeps,
  consumer: AnyConsumer,
  letter: DeadLetter,
): Promise<string | undefined> {
  const parsed = parseLetter(consumer, letter, deps.clock.now());
  if (parsed && 'fault' in parsed) return parsed.fault;
  const events = parsed ? [parsed.event] : [];
  try {
    const performed = events.length > 0 ? await consumer.perform?.(events) : undefined;
    let afterwards: (() => Promise<void>)[] = [];
    await deps.transactions.run(async (tx) => {
      afterwards = [];
      // Another process may have replayed the same letter.
      if (!(await tx.deadLetters.remove(letter.id))) return;
      const unprocessed = await claim(consumer, tx, letter, events);
      await applyTo(consumer, tx, unprocessed, performed, (work) => afterwards.push(work));
    });
    await runAfterwards(deps, consumer, afterwards);
    return undefined;
  } catch (error) {
    if (isTransient(error)) throw error;
    return faultOf(error);
  }
}

/**
 * The letter as an event: the stored event if the record was readable, else the record as its consumer reads it now.
 * Undefined if the consumer now skips it.
 */
function parseLetter(
  consumer: AnyConsumer,
  letter: DeadLetter,
  now: number,
): { event: Event } | { fault: string } | undefined {
  const { topic, orderId, record } = letter;
  const stored = parseEvent(record);
  const wasReadable = 'event' in stored && stored.event.eventId === letter.eventId;
  if (wasReadable || !consumer.read) return withinTenYears(stored, now);
  return readDelivery(consumer, { topic, key: orderId, position: positionOf(letter), record }, now);
}

/**
 * The events that were not processed yet. A letter of a readable record was claimed under its event's id when it was
 * added; a record that was unreadable then has its event's id only now, and claims it here.
 */
async function claim(
  consumer: AnyConsumer,
  tx: Transaction,
  letter: DeadLetter,
  events: readonly Event[],
): Promise<Event[]> {
  const newIds = events.filter(({ eventId }) => eventId !== letter.eventId).map(({ eventId }) => eventId);
  const claimed = consumer.isIdempotent ? new Set(newIds) : await tx.claimEvents(consumer.name, newIds);
  return events.filter(({ eventId }) => eventId === letter.eventId || claimed.has(eventId));
}
