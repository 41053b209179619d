/** Table of kitchen tickets: the restaurant's side of each order. */
import { sql } from 'drizzle-orm';
import { check, index, pgTable, text, varchar } from 'drizzle-orm/pg-core';
import type { OrderId } from '../../../domain/order.ts';
import type { Ticket } from '../../../service/restaurants/ports.ts';
import { timestamptz, varcharC } from './columns.ts';

export const tickets = pgTable(
  'tickets',
  {
    orderId: varcharC('order_id', { length: 64 }).$type<OrderId>().primaryKey(),
    restaurantId: varcharC('restaurant_id', { length: 64 }).notNull(),
    state: varchar('state', { length: 16 }).$type<Ticket['state']>().notNull(),
    openedAt: timestamptz('opened_at').notNull(),
    answeredAt: timestamptz('answered_at'),
    estimatedReadyAt: timestamptz('estimated_ready_at'),
    reason: text('reason'),
    closedAt: timestamptz('closed_at'),
    readyAt: timestamptz('ready_at'),
  },
  (table) => [
    check('tickets_state_check', sql`${table.state} in ('OPEN', 'ACCEPTED', 'REJECTED', 'CLOSED')`),
    index('tickets_open')
      .on(table.restaurantId, table.openedAt, table.orderId)
      .where(sql`${table.state} in ('OPEN', 'ACCEPTED')`),
  ],
);
