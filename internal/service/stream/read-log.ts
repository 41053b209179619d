/** Reads the event log for one consumer, page by page from its cursor, and has each page handled. */
import { setTimeout as pause } from 'node:timers/promises';
import { isTransient } from '../../domain/errors.ts';
import type { EventType } from '../../domain/events.ts';
import { backoffMs } from '../../domain/retry.ts';
import { typesOn } from '../../domain/topics.ts';
import type { Log, LogPosition, Transactions } from '../ports.ts';
import type { EventLog, LogFilter, Subscription } from './ports.ts';

/** How long a reader sleeps when nothing tells it of new events. */
const POLL_MS = 1_000;
const BATCH_SIZE = 1_000;

export interface ReadLogDeps {
  readonly eventLog: EventLog;
  readonly transactions: Transactions;
  readonly log: Log;
}

/** One round of a reader: reads a page and has it handled; returns how many ms to sleep. Faults are kept by group while they last. */
export function readLog(
  { eventLog, transactions, log }: ReadLogDeps,
  subscription: Subscription,
  faults = new Map<string, string>(),
): () => Promise<number> {
  const { group, topics, types, batchSize = BATCH_SIZE, handle } = subscription;
  const filter: LogFilter = {
    types: new Set(
      types.filter((type) => topics.some((topic) => typesOn(topic).includes(type as EventType))),
    ),
    topics: new Set(topics),
  };
  let failures = 0;
  /** How far this reader has come, and how far its cursor has. */
  let place: { at: LogPosition; readonly cursor: LogPosition; readonly since: number } | undefined;

  return async () => {
    try {
      const isLeader = await eventLog.lead(group);
      if (!isLeader) place = undefined;
      if (!isLeader) return POLL_MS;
      const now = performance.now();
      if (!place) {
        const cursor = await eventLog.cursor(group);
        place = { at: cursor, cursor, since: now };
      }
      const { cursor, since } = place;
      const page = await eventLog.read(place.at, filter, batchSize);
      const { to } = page;
      if (page.deliveries.length > 0) {
        await handle({ deliveries: page.deliveries, settle: (tx) => tx.moveCursor(group, cursor, to) });
        place = { at: to, cursor: to, since: now };
      } else if (now - since < POLL_MS) {
        place.at = to;
      } else {
        // What it does not want it passes without a transaction for each page; the cursor, too, must come along.
        if (to.position !== cursor.position || to.transactionId !== cursor.transactionId)
          await transactions.run((tx) => tx.moveCursor(group, cursor, to));
        place = undefined;
      }
      failures = 0;
      faults.delete(group);
      // What an open transaction holds back is looked for again.
      return page.full || page.deliveries.length > 0 || page.held ? 0 : POLL_MS;
    } catch (error) {
      place = undefined;
      failures += 1;
      faults.set(group, error instanceof Error ? error.message : String(error));
      if (!isTransient(error))
        log.error({ consumer: group, err: error }, 'a batch could not be handled and is tried again');
      else if (failures === 1) log.warn({ consumer: group, err: error }, 'consuming waits for a dependency');
      await pause(backoffMs(failures));
      return 0;
    }
  };
}
