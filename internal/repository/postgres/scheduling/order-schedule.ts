/** Reads the orders' due times from Postgres; the due queue in Redis is an index of them. */
import { and, eq, sql } from 'drizzle-orm';
import type pg from 'pg';
import { isFinal, ORDER_STATUSES } from '../../../domain/order.ts';
import type { OrderSchedule } from '../../../service/scheduling/ports.ts';
import { toOrder } from '../orders/order-rows.ts';
import { isAnyOf, prepared } from '../queries.ts';
import { orders } from '../schema/orders.ts';
import { epochMs, isAfter, isBefore } from './time-window.ts';

const WAITING_PAGE = 10_000;
const IN_FLIGHT_PAGE = 1_000;
const IN_FLIGHT = ORDER_STATUSES.filter((status) => status !== 'CREATED' && !isFinal(status));

const isWaiting = eq(orders.status, sql`'CREATED'`);

const stillWaiting = prepared('still-waiting', (db) =>
  db
    .select({ orderId: orders.orderId, dueAt: orders.dueAt })
    .from(orders)
    .where(and(isAnyOf(orders.orderId, 'ids'), isWaiting)),
);

// The next keyset page, nearest due first.
const waiting = prepared('waiting-orders', (db) =>
  db
    .select({ orderId: orders.orderId, dueAt: epochMs(orders.dueAt) })
    .from(orders)
    .where(and(isWaiting, isAfter(orders.dueAt, orders.orderId), isBefore(orders.dueAt)))
    .orderBy(orders.dueAt, orders.orderId)
    .limit(WAITING_PAGE),
);

// The next keyset page of the orders in a status, oldest first.
const inStatus = prepared('orders-in-status', (db) =>
  db
    .select()
    .from(orders)
    .where(and(eq(orders.status, sql.placeholder('status')), isAfter(orders.createdAt, orders.orderId)))
    .orderBy(orders.createdAt, orders.orderId)
    .limit(IN_FLIGHT_PAGE),
);

export function postgresOrderSchedule(pool: pg.Pool): OrderSchedule {
  return {
    async *inFlight() {
      for (const status of IN_FLIGHT) {
        let last = { after: Number.NEGATIVE_INFINITY, orderId: '' };
        for (;;) {
          const page = await inStatus(pool, { status, ...last });
          if (page.length > 0) yield page.map(toOrder);
          const end = page.at(-1);
          if (!end || page.length < IN_FLIGHT_PAGE) break;
          last = { after: end.createdAt, orderId: end.orderId };
        }
      }
    },
    async *waiting({ from, to }) {
      let last = { after: from - 0.001, orderId: '' };
      for (;;) {
        const page = await waiting(pool, { ...last, before: to });
        if (page.length > 0) yield page;
        const end = page.at(-1);
        if (!end || page.length < WAITING_PAGE) return;
        last = { after: end.dueAt, orderId: end.orderId };
      }
    },
    stillWaiting: (ids) => stillWaiting(pool, { ids }),
  };
}
