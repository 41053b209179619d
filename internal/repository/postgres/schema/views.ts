/** Table of the order history: every event of every order, kept longer than the event log. */
import { pgTable, primaryKey, uuid, varchar } from 'drizzle-orm/pg-core';
import type { OrderId } from '../../../domain/order.ts';
import { json, timestamptz, varcharC } from './columns.ts';

/** Partitioned by month (PARTITION BY RANGE (at)), which Drizzle does not support: see maintenance/history-partitions.ts. */
export const orderHistory = pgTable(
  'order_history',
  {
    orderId: varcharC('order_id', { length: 64 }).$type<OrderId>().notNull(),
    at: timestamptz('at').notNull(),
    eventId: uuid('event_id').notNull(),
    eventType: varchar('event_type', { length: 64 }).notNull(),
    producer: varchar('producer', { length: 64 }).notNull(),
    payload: json('payload').notNull(),
  },
  (table) => [primaryKey({ name: 'order_history_pkey', columns: [table.orderId, table.at, table.eventId] })],
);
