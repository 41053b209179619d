/** What becomes of a record that the broker refuses for good: a dead letter of the relay, which an operator may have sent again. */
import { faultOf, isTransient } from '../../domain/errors.ts';
import { DEAD_LETTER_TOPICS } from '../../domain/topics.ts';
import type { DeadLetter, Log, Meter, Transactions } from '../ports.ts';
import type { DeadLetters, OutgoingRecord, RecordSink } from './ports.ts';

/** The relay's name as a consumer of the event log, and of its dead letters. */
export const RELAY = 'event-relay';

/** A dead letter that its own topic does not take is sent as this many characters of its JSON; the whole is in the table. */
const EXCERPT = 10_000;

/** A record on its way, with an id that is the same each time it is read from the log. */
export interface RelayedRecord extends OutgoingRecord {
  readonly id: string;
}

export interface RefusedDeps {
  readonly sink: RecordSink;
  readonly transactions: Transactions;
  readonly log: Log;
  readonly meter: Meter;
}

/** Sends the records. One that is refused does not keep the others from being sent. */
export async function sendAll(deps: RefusedDeps, records: readonly RelayedRecord[]): Promise<void> {
  const fault = await faultOfSending(deps.sink, records);
  if (!fault) return;
  if (records.length > 1) {
    const middle = records.length >> 1;
    await sendAll(deps, records.slice(0, middle));
    return sendAll(deps, records.slice(middle));
  }
  for (const record of records) await setAside(deps, record, fault);
}

async function setAside(deps: RefusedDeps, record: RelayedRecord, fault: string): Promise<void> {
  const { sink, transactions, log, meter } = deps;
  const { topic, key, value, id } = record;
  if (DEAD_LETTER_TOPICS.some((name) => name === topic)) {
    // Its own dead letter would be as large, and refused again.
    const excerpt = (JSON.stringify(value) ?? '').slice(0, EXCERPT);
    if (await faultOfSending(sink, [{ ...record, value: excerpt }]))
      log.warn({ topic, order: key, fault }, 'a dead letter is not on its topic; it is in the database');
    return;
  }
  const isNew = await transactions.run(async (tx) => {
    if ((await tx.claimEvents(RELAY, [id])).size === 0) return false;
    const letter = { consumer: RELAY, eventId: id, orderId: key.slice(0, 64), topic, record: value };
    await tx.deadLetters.add([{ ...letter, error: fault, retryCount: 0 }]);
    return true;
  });
  if (!isNew) return;
  meter.count('dead_letters', 1, { consumer: RELAY });
  log.warn({ topic, order: key, event: id, fault }, 'the broker refused an event; it became a dead letter');
}

/** One round of replaying: sends the letters of one order whose replay was requested; returns how many were sent. */
export async function resendRefused(deps: RefusedDeps & { deadLetters: DeadLetters }): Promise<number> {
  const { sink, transactions, deadLetters, log } = deps;
  let sent = 0;
  for (const letter of await deadLetters.requested(RELAY)) {
    const fault = await faultOfSending(sink, [recordOf(letter)]);
    if (fault) {
      await deadLetters.recordFailure(letter, fault);
      log.warn({ order: letter.orderId, letter: letter.id, fault }, 'a replayed dead letter failed');
      break;
    }
    await transactions.run((tx) => tx.deadLetters.remove(letter.id));
    sent += 1;
  }
  return sent;
}

function recordOf({ topic, orderId, record }: DeadLetter): OutgoingRecord {
  const { eventType, eventId } = record as { eventType?: string; eventId?: string };
  const headers = { ...(eventType && { eventType }), ...(eventId && { eventId }) };
  return { topic, key: orderId, value: record, headers: { ...headers, 'content-type': 'application/json' } };
}

/** Why the broker refuses the records for good; undefined if it has stored them. Throws what passes by itself. */
async function faultOfSending(
  sink: RecordSink,
  records: readonly OutgoingRecord[],
): Promise<string | undefined> {
  try {
    await sink.send(records);
    return undefined;
  } catch (error) {
    if (isTransient(error)) throw error;
    return error instanceof Error ? error.message : faultOf(error);
  }
}
