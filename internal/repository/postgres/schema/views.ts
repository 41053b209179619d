/** The history: every event of every order, kept longer than the event log. */
import { pgTable, primaryKey, uuid, varchar } from 'drizzle-orm/pg-core';
import type { OrderId } from '../../../domain/order.ts';
import { bytewise, jsonText, moment } from './columns.ts';

/** Partitioned by month (PARTITION BY RANGE (at)), which Drizzle has no word for: maintenance/history-partitions.ts. */
export const orderHistory = pgTable(
  'order_history',
  {
    orderId: bytewise('order_id', { length: 64 }).$type<OrderId>().notNull(),
    at: moment('at').notNull(),
    eventId: uuid('event_id').notNull(),
    eventType: varchar('event_type', { length: 64 }).notNull(),
    producer: varchar('producer', { length: 64 }).notNull(),
    payload: jsonText('payload').notNull(),
  },
  (table) => [primaryKey({ name: 'order_history_pkey', columns: [table.orderId, table.at, table.eventId] })],
);
