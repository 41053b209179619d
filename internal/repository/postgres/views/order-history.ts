/** Stores the order history, partitioned by month. */
import { and, desc, eq, getTableColumns, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { OrderId } from '../../../domain/order.ts';
import type { History } from '../../../service/views/ports.ts';
import { bulkInsert } from '../bulk-parameters.ts';
import { attempt, on, prepared } from '../queries.ts';
import { orderHistory } from '../schema/views.ts';
import { asUuid } from '../stream/event-ids.ts';

const { orderId, at, eventId, eventType, producer, payload } = getTableColumns(orderHistory);

// An existing entry is left unchanged.
const append = bulkInsert(
  'append-history',
  orderHistory,
  { orderId, at, eventId, eventType, producer, payload },
  { target: [orderId, at, eventId] },
);

const newest = prepared('history-of-order', (db) =>
  db
    .select({ at, eventId, eventType, producer, payload })
    .from(orderHistory)
    .where(eq(orderId, sql.placeholder('orderId')))
    .orderBy(desc(at), desc(eventId))
    .limit(sql.placeholder('limit')),
);

export function postgresHistory(pool: pg.Pool): History {
  return {
    async append(events) {
      const entries = events.map((event) => ({
        orderId: event.orderId as OrderId,
        at: Date.parse(event.occurredAt),
        eventId: asUuid(event.eventId),
        eventType: event.eventType,
        producer: event.producer.slice(0, 64),
        payload: event.payload,
      }));
      await append(pool, entries);
    },
    async rewrite(orderIds, change) {
      const db = on(pool);
      let count = 0;
      for (const id of orderIds)
        for (const entry of await attempt(db.select().from(orderHistory).where(eq(orderId, id)))) {
          const changed = change(entry);
          if (JSON.stringify(changed) === JSON.stringify(entry.payload)) continue;
          const isThis = and(eq(orderId, id), eq(at, entry.at), eq(eventId, entry.eventId));
          await attempt(db.update(orderHistory).set({ payload: changed }).where(isThis));
          count += 1;
        }
      return count;
    },
    of: async (orderId, limit) => (await newest(pool, { orderId, limit })).reverse(),
  };
}
