/** Stores the order history, partitioned by month. */
import { desc, eq, getTableColumns, sql } from 'drizzle-orm';
import type pg from 'pg';
import { withoutPerson } from '../../../domain/erasure.ts';
import type { OrderId } from '../../../domain/order.ts';
import type { History } from '../../../service/views/ports.ts';
import { bulkInsert } from '../bulk-parameters.ts';
import { clientOf } from '../database.ts';
import { erasedAmong } from '../erased-orders.ts';
import { prepared } from '../queries.ts';
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
    async append(tx, events) {
      const erased = await erasedAmong(
        clientOf(tx),
        events.map(({ orderId }) => orderId),
      );
      const entries = events.map((event) => ({
        orderId: event.orderId as OrderId,
        at: Date.parse(event.occurredAt),
        eventId: asUuid(event.eventId),
        eventType: event.eventType,
        producer: event.producer.slice(0, 64),
        payload: erased.has(event.orderId) ? withoutPerson(event.payload) : event.payload,
      }));
      await append(clientOf(tx), entries);
    },
    of: async (orderId, limit) => (await newest(pool, { orderId, limit })).reverse(),
  };
}
