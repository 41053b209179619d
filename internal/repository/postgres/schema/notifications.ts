/** Table of messages to customers: one for each order and template. */
import { sql } from 'drizzle-orm';
import { check, index, integer, pgTable, primaryKey, text, varchar } from 'drizzle-orm/pg-core';
import type { Notification } from '../../../domain/notification.ts';
import type { OrderId } from '../../../domain/order.ts';
import { jsonb, timestamptz, varcharC } from './columns.ts';

export const notifications = pgTable(
  'notifications',
  {
    orderId: varcharC('order_id', { length: 64 }).$type<OrderId>().notNull(),
    template: varchar('template', { length: 64 }).notNull(),
    state: varchar('state', { length: 16 }).$type<Notification['state']>().notNull(),
    recipient: varchar('recipient', { length: 256 }).notNull(),
    variables: jsonb('variables').$type<Notification['variables']>().notNull(),
    attempts: integer('attempts').notNull().default(0),
    error: text('error'),
    createdAt: timestamptz('created_at').notNull(),
    sentAt: timestamptz('sent_at'),
  },
  (table) => [
    primaryKey({ name: 'notifications_pkey', columns: [table.orderId, table.template] }),
    index('notifications_by_age').using('brin', table.createdAt),
    check('notifications_state_check', sql`${table.state} in ('PENDING', 'SENT', 'GIVEN_UP')`),
    check('notifications_check', sql`(${table.state} = 'SENT') = (${table.sentAt} is not null)`),
  ],
);
