/** Reads the event log for one consumer, page by page from its cursor, and has each page handled. */
import { setTimeout as pause } from 'node:timers/promises';
import { isTransient } from '../domain/errors.ts';
import type { EventType } from '../domain/events.ts';
import { backoffMs } from '../domain/retry.ts';
import { typesOn } from '../domain/topics.ts';
import type { EventLog, Log, Subscription, Transactions } from './ports.ts';

/** How long a reader sleeps when nothing tells it of new events. */
const POLL_MS = 1_000;
/**
 * Rounds begin at least so far apart, but for full pages: under load each round then takes more events, and its transaction
 * is shared by more of them. After a pause the first event is handled at once.
 */
const PACE_MS = 20;
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
  const filter = {
    types: types.filter((type) => topics.some((topic) => typesOn(topic).includes(type as EventType))),
    // Records that were put on one topic by hand, or that others write.
    topics,
  };
  let failures = 0;
  let mayBeginAt = 0;

  return async () => {
    try {
      const early = mayBeginAt - performance.now();
      if (early > 0) await pause(early);
      mayBeginAt = performance.now() + PACE_MS;
      if (!(await eventLog.lead(group))) return POLL_MS;
      const page = await eventLog.read(group, filter, batchSize);
      const moved =
        page.to.position !== page.from.position || page.to.transactionId !== page.from.transactionId;
      if (page.deliveries.length > 0) {
        await handle({
          deliveries: page.deliveries,
          settle: (tx) => tx.moveCursor(group, page.from, page.to),
        });
      } else if (moved) {
        await transactions.run((tx) => tx.moveCursor(group, page.from, page.to));
      }
      failures = 0;
      faults.delete(group);
      if (page.full) mayBeginAt = 0;
      // What an open transaction holds back is looked for again.
      return page.full || page.deliveries.length > 0 || page.held ? 0 : POLL_MS;
    } catch (error) {
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
