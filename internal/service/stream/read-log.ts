/** Reads the event log for one consumer, page by page from its cursor. */
import { setTimeout as pause } from 'node:timers/promises';
import { faultOf, isTransient } from '../../domain/errors.ts';
import { isEventType } from '../../domain/events.ts';
import { backoffAfter } from '../../domain/retry.ts';
import { TOPICS } from '../../domain/topics.ts';
import type { Log, LogPosition, Transactions } from '../ports.ts';
import type { EventLog, LogFilter, Subscription } from './ports.ts';

/** How long a reader sleeps if it is not notified of new events. */
const POLL_MS = 1_000;
const BATCH_SIZE = 1_000;

export interface ReadLogDeps {
  readonly eventLog: EventLog;
  readonly transactions: Transactions;
  readonly log: Log;
}

/** One round of a reader: reads and handles a page; returns the milliseconds to sleep. `faults` has the current fault of each group. */
export function readLog(
  { eventLog, transactions, log }: ReadLogDeps,
  subscription: Subscription,
  faults = new Map<string, string>(),
): () => Promise<number> {
  const { group, topics, types, batchSize = BATCH_SIZE, handle } = subscription;
  const filter: LogFilter = {
    types: new Set(
      types.filter((type) => isEventType(type) && TOPICS[type].some((topic) => topics.includes(topic))),
    ),
    topics: new Set(topics),
  };
  let failures = 0;
  /** The position of this reader, its stored cursor, and when they were last equal (`performance.now`). */
  let progress: { at: LogPosition; readonly cursor: LogPosition; readonly since: number } | undefined;

  return async () => {
    try {
      const isLeader = await eventLog.lead(group);
      if (!isLeader) {
        progress = undefined;
        failures = 0;
        // The fault was of a batch that another process handles now.
        faults.delete(group);
        return POLL_MS;
      }
      const now = performance.now();
      if (!progress) {
        const cursor = await eventLog.cursor(group);
        progress = { at: cursor, cursor, since: now };
      }
      const { cursor, since } = progress;
      const page = await eventLog.read(progress.at, filter, batchSize);
      const { to } = page;
      if (page.deliveries.length > 0) {
        await handle({ deliveries: page.deliveries, settle: (tx) => tx.moveCursor(group, cursor, to) });
        progress = { at: to, cursor: to, since: now };
      } else if (now - since < POLL_MS) {
        progress.at = to;
      } else {
        // Pages without matching events move the cursor once a second, not with a transaction each.
        if (to.position !== cursor.position || to.transactionId !== cursor.transactionId)
          await transactions.run((tx) => tx.moveCursor(group, cursor, to));
        progress = undefined;
      }
      failures = 0;
      faults.delete(group);
      // A page is `held` if an open transaction still hides later events.
      return page.full || page.deliveries.length > 0 || page.held ? 0 : POLL_MS;
    } catch (error) {
      progress = undefined;
      failures += 1;
      faults.set(group, error instanceof Error ? error.message : faultOf(error));
      if (!isTransient(error)) log.error({ consumer: group, err: error }, 'a batch failed and is retried');
      else if (failures === 1)
        log.warn({ consumer: group, err: error }, 'a dependency is unavailable; consuming is retried');
      await pause(backoffAfter(error, failures));
      return 0;
    }
  };
}
