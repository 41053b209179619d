/** Tables of erasures: the customers whose data were to be erased, and their erased orders. */
import { index, pgTable, varchar } from 'drizzle-orm/pg-core';
import type { OrderId } from '../../../domain/order.ts';
import { timestamptz, varcharC } from './columns.ts';

export const erasures = pgTable('erasures', {
  customerId: varcharC('customer_id', { length: 128 }).primaryKey(),
  requestedAt: timestamptz('requested_at').notNull(),
  /** When everything was erased for the first time. */
  erasedAt: timestamptz('erased_at'),
  /** When it was looked through again, after what was under way at that time. */
  settledAt: timestamptz('settled_at'),
});

/** Kept for ever: an event of such an order may be read from Kafka again at any time. */
export const erasedOrders = pgTable(
  'erased_orders',
  {
    orderId: varcharC('order_id', { length: 64 }).$type<OrderId>().primaryKey(),
    customerId: varchar('customer_id', { length: 128 }).notNull(),
    erasedAt: timestamptz('erased_at').notNull(),
  },
  (table) => [index('erased_orders_by_customer').on(table.customerId, table.orderId)],
);
