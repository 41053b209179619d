/** Deletes what is older than its retention, and cursors that are no longer in use. */
import { inArray, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Aging, Retention } from '../../../service/maintenance/ports.ts';
import { attempt, namesOf, on, statement } from '../queries.ts';
import { consumerCursors, events } from '../schema/stream.ts';
import {
  pruneKeys,
  pruneLetters,
  pruneMarks,
  pruneMessages,
  pruneOrders,
  prunePayments,
} from './aged-rows.ts';

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

const PRUNE: Record<Exclude<Aging, 'events'>, typeof pruneOrders> = {
  marks: pruneMarks,
  keys: pruneKeys,
  letters: pruneLetters,
  messages: pruneMessages,
  orders: pruneOrders,
  payments: prunePayments,
};

export function postgresRetention(pool: pg.Pool): Retention {
  const db = on(pool);
  return {
    async prune(what, before, limit) {
      if (what !== 'events') return PRUNE[what](db, before, limit);
      return (await pruneEvents(pool, { before: new Date(before), limit })).rowCount ?? 0;
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
