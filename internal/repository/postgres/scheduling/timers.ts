/** Timers: what is to happen to an order later. The due queue in Redis is an index of them. */
import type pg from 'pg';
import type { OrderId } from '../../../domain/order.ts';
import type { Timer, Timers } from '../../../service/scheduling/ports.ts';
import { query } from '../database.ts';
import { clientOf } from '../transactions.ts';

const PAGE = 10_000;

// Input: order ids, kinds and due times in epoch ms, one of each for a timer.
const SET = {
  name: 'set-timers',
  text: `INSERT INTO timers (order_id, kind, due_at)
    SELECT id, kind, to_timestamp(due / 1000) FROM unnest($1::text[], $2::text[], $3::float8[]) AS t(id, kind, due) ORDER BY id, kind
    ON CONFLICT (order_id, kind) DO UPDATE SET due_at = excluded.due_at`,
};

const CLEAR = {
  name: 'clear-timers',
  text: `DELETE FROM timers t USING unnest($1::text[], $2::text[]) AS c(id, kind) WHERE t.order_id = c.id AND t.kind = c.kind`,
};

// Input: the last timer of the page before, the end of the window, a limit. Output: the next page, nearest due first.
const WAITING = {
  name: 'waiting-timers',
  text: `SELECT order_id, kind, floor(extract(epoch FROM due_at) * 1000)::float8 AS due_ms FROM timers
    WHERE (due_at, order_id, kind) > (to_timestamp($1::float8 / 1000), $2, $3) AND due_at < to_timestamp($4::float8 / 1000)
    ORDER BY due_at, order_id, kind LIMIT $5`,
};

interface TimerRow {
  order_id: OrderId;
  kind: Timer['kind'];
  due_ms: number;
}

export function postgresTimers(pool: pg.Pool): Timers {
  return {
    async set(tx, timers) {
      if (timers.length === 0) return;
      // One of a kind for each order: of two, the later word counts.
      const last = [...new Map(timers.map((timer) => [`${timer.kind}:${timer.orderId}`, timer])).values()];
      await query(clientOf(tx), SET, [
        last.map(({ orderId }) => orderId),
        last.map(({ kind }) => kind),
        last.map(({ dueAt }) => dueAt),
      ]);
    },
    async clear(tx, timers) {
      if (timers.length === 0) return;
      const ids = timers.map(({ orderId }) => orderId);
      await query(clientOf(tx), CLEAR, [ids, timers.map(({ kind }) => kind)]);
    },
    async *waiting({ from, to }) {
      let last = { due_ms: from - 0.001, order_id: '', kind: '' };
      for (;;) {
        const values = [last.due_ms, last.order_id, last.kind, to, PAGE];
        const { rows } = await query<TimerRow>(pool, WAITING, values);
        if (rows.length > 0)
          yield rows.map((row) => ({ orderId: row.order_id, kind: row.kind, dueAt: row.due_ms }));
        if (rows.length < PAGE) return;
        last = rows.at(-1) ?? last;
      }
    },
  };
}
