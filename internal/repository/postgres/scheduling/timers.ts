/** Stores the orders' timers in Postgres; the due queue in Redis is an index of them. */
import { and, eq, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Timers } from '../../../service/scheduling/ports.ts';
import { bulkInsert, bulkParameters } from '../bulk-parameters.ts';
import { clientOf } from '../database.ts';
import { isAnyOf, namesOf, prepared, statement } from '../queries.ts';
import { timers } from '../schema/scheduling.ts';
import { epochMs, isAfter, isBefore } from './time-window.ts';

const PAGE = 10_000;
const { orderId, kind, dueAt } = timers;
const KEY = [orderId, kind];

const set = bulkInsert('set-timers', timers, { orderId, kind, dueAt }, { target: KEY, update: [dueAt] });

const cleared = bulkParameters({ orderId, kind });
// By hand: deletes a batch in one statement.
const clear = statement(
  'clear-timers',
  sql`delete from ${timers} t using ${cleared.relation} r where (${namesOf(KEY, 't')}) = (${namesOf(KEY, 'r')})`,
);

const dueAtOf = prepared('timers-due-at', (db) =>
  db
    .select({ orderId, dueAt: epochMs(dueAt) })
    .from(timers)
    .where(and(isAnyOf(orderId, 'ids'), eq(kind, sql.placeholder('kind')))),
);

// The next keyset page, nearest due first.
const waiting = prepared('waiting-timers', (db) =>
  db
    .select({ orderId, kind, dueAt: epochMs(dueAt) })
    .from(timers)
    .where(and(isAfter(dueAt, orderId, kind), isBefore(dueAt)))
    .orderBy(dueAt, orderId, kind)
    .limit(PAGE),
);

export function postgresTimers(pool: pg.Pool): Timers {
  return {
    async set(tx, wanted) {
      // An order has one timer of each kind; of two in one batch, the later one counts.
      const last = new Map(wanted.map((timer) => [`${timer.kind}:${timer.orderId}`, timer]));
      await set(clientOf(tx), [...last.values()]);
    },
    async clear(tx, wanted) {
      if (wanted.length > 0) await clear(clientOf(tx), cleared.values(wanted));
    },
    async dueAt(tx, kind, ids) {
      const rows = await dueAtOf(clientOf(tx), { kind, ids });
      return new Map(rows.map(({ orderId, dueAt }) => [orderId, dueAt]));
    },
    async *waiting({ from, to }) {
      let last = { after: from - 0.001, orderId: '', kind: '' };
      for (;;) {
        const page = await waiting(pool, { ...last, before: to });
        if (page.length > 0) yield page;
        const end = page.at(-1);
        if (!end || page.length < PAGE) return;
        last = { after: end.dueAt, orderId: end.orderId, kind: end.kind };
      }
    },
  };
}
