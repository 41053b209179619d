/** Tables of orders, and of the responses to idempotency keys. */
import { sql } from 'drizzle-orm';
import { char, check, index, integer, pgTable, primaryKey, text, varchar } from 'drizzle-orm/pg-core';
import {
  ORDER_STATUSES,
  type OrderContent,
  type OrderId,
  type OrderStatus,
  type TimelineEntry,
} from '../../../domain/order.ts';
import type { StoredResponse } from '../../../service/ports.ts';
import { amount, isOneOf, json, jsonb, timestamptz, varcharC } from './columns.ts';

/** The parts of an order that have no column of their own. */
export type StoredContent = Partial<
  Pick<
    OrderContent,
    'items' | 'deliveryAddress' | 'toCustomer' | 'contact' | 'paymentToken' | 'specialInstructions' | 'price'
  >
>;

export const orders = pgTable(
  'orders',
  {
    orderId: varcharC('order_id', { length: 64 }).$type<OrderId>().primaryKey(),
    customerId: varchar('customer_id', { length: 128 }),
    customerName: varchar('customer_name', { length: 256 }),
    restaurantId: varchar('restaurant_id', { length: 64 }),
    status: varchar('status', { length: 16 }).$type<OrderStatus>().notNull(),
    reason: text('reason'),
    total: amount('total_amount').notNull(),
    currency: char('currency', { length: 3 }).notNull(),
    /** Null for an order that has none of these parts. */
    content: jsonb('content').$type<StoredContent>(),
    scheduledAt: timestamptz('scheduled_at'),
    dueAt: timestamptz('due_at').notNull(),
    createdAt: timestamptz('created_at').notNull(),
    updatedAt: timestamptz('updated_at').notNull(),
    version: integer('version').notNull(),
    /** One entry for each version, without gaps. */
    timeline: jsonb('timeline').$type<readonly TimelineEntry[]>().notNull(),
    /** SHA-256 of the request's content: distinguishes a repeated request from a different one with the same id. */
    fingerprint: text('fingerprint').notNull(),
  },
  (table) => [
    check('orders_status_check', isOneOf(table.status, ORDER_STATUSES)),
    check('orders_total_amount_check', sql`${table.total} >= 0`),
    check('orders_check', sql`${table.version} = jsonb_array_length(${table.timeline})`),
    check('orders_check1', sql`${table.reason} is not null or ${table.status} not in ('FAILED', 'REJECTED')`),
    // The scheduler rebuilds the due queue through this index.
    index('orders_waiting').on(table.dueAt, table.orderId).where(sql`${table.status} = 'CREATED'`),
    // The orders of one customer.
    index('orders_by_customer')
      .on(table.customerId, table.orderId)
      .where(sql`${table.customerId} is not null`),
    // Keyset pages, newest first, of one status; pages of several statuses are merged.
    index('orders_by_status').on(table.status, table.createdAt, table.orderId),
  ],
);

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    principal: varcharC('principal', { length: 128 }).notNull(),
    operation: varcharC('operation', { length: 160 }).notNull(),
    key: varcharC('key', { length: 128 }).notNull(),
    fingerprint: text('fingerprint').notNull(),
    /** The stored response, repeated word for word. */
    response: json('answer').$type<Omit<StoredResponse, 'fingerprint'>>().notNull(),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
  },
  (table) => [
    primaryKey({ name: 'idempotency_keys_pkey', columns: [table.principal, table.operation, table.key] }),
    index('idempotency_keys_by_age').using('brin', table.createdAt),
  ],
);
