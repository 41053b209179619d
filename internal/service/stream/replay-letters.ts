/** Handles dead letters again, once an operator has asked for it. */
import { isTransient } from '../../domain/errors.ts';
import { type Event, parseEvent } from '../../domain/events.ts';
import type { DeadLetter, Transaction } from '../ports.ts';
import { applyTo, type ConsumeDeps, faultOf, runAfterwards } from './consume.ts';
import type { AnyConsumer } from './consumer.ts';
import { positionOf } from './read-deliveries.ts';

/** Takes up, in order, the letters of one order whose replay was asked for; returns how many took effect. */
export async function replayLetters(deps: ConsumeDeps, consumer: AnyConsumer): Promise<number> {
  let replayed = 0;
  for (const letter of await deps.deadLetters.requested(consumer.name)) {
    const fault = await replay(deps, consumer, letter);
    if (fault !== undefined) {
      await deps.deadLetters.recordFailure(letter, fault);
      const fields = { consumer: consumer.name, order: letter.orderId, letter: letter.id, fault };
      deps.log.warn(fields, 'a dead letter failed again');
      break;
    }
    replayed += 1;
  }
  return replayed;
}

/** Undefined once it took effect, else its fault. */
async function replay(
  deps: ConsumeDeps,
  consumer: AnyConsumer,
  letter: DeadLetter,
): Promise<string | undefined> {
  const reading = readAgain(consumer, letter);
  if (reading && 'fault' in reading) return reading.fault;
  const events = reading ? [reading.event] : [];
  try {
    const performed = events.length > 0 ? await consumer.perform?.(events) : undefined;
    let afterwards: (() => Promise<void>)[] = [];
    await deps.transactions.run(async (tx) => {
      afterwards = [];
      // Another process may be at the same letter.
      if (!(await tx.deadLetters.remove(letter.id))) return;
      const fresh = await unhandled(consumer, tx, letter, events);
      await applyTo(consumer, tx, fresh, performed, (work) => afterwards.push(work));
    });
    await runAfterwards(deps, consumer, afterwards);
    return undefined;
  } catch (error) {
    if (isTransient(error)) throw error;
    return faultOf(error);
  }
}

/**
 * The letter as an event: as it was stored when it could be read, else read anew as its consumer reads what comes off the
 * topic. Undefined where the consumer passes it over by now.
 */
function readAgain(
  consumer: AnyConsumer,
  letter: DeadLetter,
): { event: Event } | { fault: string } | undefined {
  const { topic, orderId, record } = letter;
  const stored = parseEvent(record);
  const wasReadable = 'event' in stored && stored.event.eventId === letter.eventId;
  if (wasReadable || !consumer.read) return stored;
  return consumer.read({ topic, key: orderId, position: positionOf(letter), record });
}

/** A letter was taken down under the id of its event; one that nobody could read then has its event's id only now. */
async function unhandled(
  consumer: AnyConsumer,
  tx: Transaction,
  letter: DeadLetter,
  events: readonly Event[],
): Promise<Event[]> {
  const unknown = events.filter(({ eventId }) => eventId !== letter.eventId).map(({ eventId }) => eventId);
  const claimed = consumer.isIdempotent ? new Set(unknown) : await tx.claimEvents(consumer.name, unknown);
  return events.filter(({ eventId }) => eventId === letter.eventId || claimed.has(eventId));
}
