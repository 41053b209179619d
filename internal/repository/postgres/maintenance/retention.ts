/** Deletes rows older than the retention. */
import { inArray, lt, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Retention } from '../../../service/maintenance/ports.ts';
import { attempt, namesOf, on, statement } from '../queries.ts';
import { idempotencyKeys } from '../schema/orders.ts';
import { consumerCursors, events, processedEvents } from '../schema/stream.ts';

const PRUNE_BATCH = 10_000;
const { transactionId, position, storedAt } = events;
const { consumer, movedAt } = consumerCursors;
const CURSOR = [consumerCursors.transactionId, consumerCursors.position];
const before = sql`${sql.placeholder('before')}::timestamptz`;

// By hand: a position is a pair of columns, and Drizzle's DELETE takes no limit. Input: a time, a limit. Deletes events
// older than the time that every cursor has passed.
const pruneEvents = statement(
  'prune-events',
  sql`
    delete from ${events} where (${transactionId}, ${position}) in (
      select ${transactionId}, ${position} from ${events}
      where ${storedAt} < ${before} and (${transactionId}, ${position}) <= (
        select ${namesOf(CURSOR)} from ${consumerCursors} order by ${namesOf(CURSOR)} limit 1)
      order by ${transactionId}, ${position} limit ${sql.placeholder('limit')})`,
);

// By hand: a position is a pair of columns. Input: a time. Output: the cursors that have not moved since that time,
// although the next event after them is older than that time.
const idleCursors = statement<{ consumer: string; moved_at: Date }>(
  'idle-cursors',
  sql`
    select ${namesOf([consumer, movedAt])} from ${consumerCursors} c
    where ${namesOf([movedAt], 'c')} < ${before} and (
      select ${storedAt} from ${events} where (${transactionId}, ${position}) > (${namesOf(CURSOR, 'c')})
      order by ${transactionId}, ${position} limit 1) < ${before}`,
);

export function postgresRetention(pool: pg.Pool): Retention {
  const db = on(pool);
  return {
    async pruneEvents(before) {
      for (let pruned = 0; ; ) {
        const { rowCount } = await pruneEvents(pool, { before: new Date(before), limit: PRUNE_BATCH });
        pruned += rowCount ?? 0;
        if ((rowCount ?? 0) < PRUNE_BATCH) return pruned;
      }
    },
    async pruneKeys(before) {
      await attempt(db.delete(processedEvents).where(lt(processedEvents.processedAt, before)));
      await attempt(db.delete(idempotencyKeys).where(lt(idempotencyKeys.createdAt, before)));
    },
    async idleCursors(before) {
      const { rows } = await idleCursors(pool, { before: new Date(before) });
      return rows.map(({ consumer, moved_at }) => ({ consumer, movedAt: moved_at.getTime() }));
    },
    async removeCursors(consumers) {
      await attempt(db.delete(consumerCursors).where(inArray(consumer, [...consumers])));
    },
  };
}
