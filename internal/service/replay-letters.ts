/** Handles dead letters again, once an operator has asked for it. */
import { isTransient } from '../domain/errors.ts';
import { parseEvent } from '../domain/events.ts';
import { type AnyConsumer, applyTo, type ConsumeDeps, faultOf, runAfterwards } from './consume.ts';
import type { DeadLetter } from './ports.ts';

/** Takes up, in order, the letters of one order whose replay was asked for; returns how many took effect. */
export async function replayLetters(deps: ConsumeDeps, consumer: AnyConsumer): Promise<number> {
  let replayed = 0;
  for (const letter of await deps.deadLetters.requested(consumer.name)) {
    const fault = await replay(deps, consumer, letter);
    if (fault !== undefined) {
      await deps.deadLetters.keep(letter, fault);
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
  const parsed = parseEvent(letter.record);
  if (!('event' in parsed)) return parsed.fault;
  const events = [parsed.event];
  try {
    const performed = await consumer.perform?.(events);
    const afterwards: (() => Promise<void>)[] = [];
    await deps.transactions.run(async (tx) => {
      // Another process may be at the same letter.
      if (await tx.letters.remove(letter.id))
        await applyTo(consumer, tx, events, performed, (work) => afterwards.push(work));
    });
    await runAfterwards(deps, consumer, afterwards);
    return undefined;
  } catch (error) {
    if (isTransient(error)) throw error;
    return faultOf(error);
  }
}
