/** The orders' times in Postgres, which the due queue is an index of. */
import type pg from 'pg';
import { isFinal, ORDER_STATUSES, type OrderId } from '../../../domain/order.ts';
import type { OrderSchedule, Waiting } from '../../../service/scheduling/ports.ts';
import { query } from '../database.ts';
import { ORDER_COLUMNS, type OrderRow, toOrder } from '../orders/order-rows.ts';

const WAITING_PAGE = 10_000;

const STILL_WAITING = {
  name: 'still-waiting',
  text: `SELECT order_id, due_at FROM orders WHERE order_id = ANY($1::text[]) AND status = 'CREATED'`,
};

// Input: the last row of the page before, the end of the window, a limit. Output: the next page, nearest due first.
const WAITING = {
  name: 'waiting-orders',
  text: `SELECT order_id, floor(extract(epoch FROM due_at) * 1000)::float8 AS due_ms FROM orders
    WHERE status = 'CREATED' AND (due_at, order_id) > (to_timestamp($1::float8 / 1000), $2) AND due_at < to_timestamp($3::float8 / 1000)
    ORDER BY due_at, order_id LIMIT $4`,
};

// Input: a status, the last order of the page before, a limit. Output: the next page of the orders in it, oldest first.
const IN_STATUS = {
  name: 'orders-in-status',
  text: `SELECT ${ORDER_COLUMNS} FROM orders WHERE status = $1 AND (created_at, order_id) > ($2, $3)
    ORDER BY created_at, order_id LIMIT $4`,
};
const IN_FLIGHT_PAGE = 1_000;
const IN_FLIGHT = ORDER_STATUSES.filter((status) => status !== 'CREATED' && !isFinal(status));

export function postgresOrderSchedule(pool: pg.Pool): OrderSchedule {
  return {
    async *inFlight() {
      for (const status of IN_FLIGHT) {
        let last: readonly [Date | string, string] = ['-infinity', ''];
        for (;;) {
          const { rows } = await query<OrderRow>(pool, IN_STATUS, [status, ...last, IN_FLIGHT_PAGE]);
          if (rows.length > 0) yield rows.map(toOrder);
          const end = rows.at(-1);
          if (!end || rows.length < IN_FLIGHT_PAGE) break;
          last = [end.created_at, end.order_id];
        }
      }
    },
    async *waiting({ from, to }) {
      let last = { due_ms: from - 0.001, order_id: '' };
      for (;;) {
        const { rows } = await query<{ order_id: string; due_ms: number }>(pool, WAITING, [
          last.due_ms,
          last.order_id,
          to,
          WAITING_PAGE,
        ]);
        if (rows.length > 0)
          yield rows.map((row): Waiting => ({ orderId: row.order_id as OrderId, dueAt: row.due_ms }));
        if (rows.length < WAITING_PAGE) return;
        last = rows.at(-1) ?? last;
      }
    },
    async stillWaiting(ids) {
      const { rows } = await query<{ order_id: string; due_at: Date }>(pool, STILL_WAITING, [ids]);
      return rows.map((row) => ({ orderId: row.order_id as OrderId, dueAt: row.due_at.getTime() }));
    },
  };
}
