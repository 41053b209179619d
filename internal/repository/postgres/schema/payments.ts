/** Table of the payment ledger: each movement of an order's money happens at most once, so its time is a column. */
import { sql } from 'drizzle-orm';
import { char, check, index, integer, pgTable, text, varchar } from 'drizzle-orm/pg-core';
import type { OrderId } from '../../../domain/order.ts';
import type { PaymentState } from '../../../domain/payment.ts';
import { amount, timestamptz, varcharC } from './columns.ts';

/** Fillfactor 50, since each step of a payment updates its row. */
export const payments = pgTable(
  'payments',
  {
    orderId: varcharC('order_id', { length: 64 }).$type<OrderId>().primaryKey(),
    currency: char('currency', { length: 3 }).notNull(),
    state: varchar('state', { length: 16 }).$type<PaymentState>().notNull(),
    /** Increased by one with every change. */
    version: integer('version').notNull().default(1),
    requested: amount('requested').notNull(),
    authorized: amount('authorized').notNull().default(0),
    captured: amount('captured').notNull().default(0),
    refunded: amount('refunded').notNull().default(0),
    authorizationId: varchar('authorization_id', { length: 128 }),
    reason: text('reason'),
    attempts: integer('attempts').notNull().default(0),
    requestedAt: timestamptz('requested_at').notNull(),
    authorizedAt: timestamptz('authorized_at'),
    capturedAt: timestamptz('captured_at'),
    voidedAt: timestamptz('voided_at'),
    refundedAt: timestamptz('refunded_at'),
  },
  ({ state, requested, authorized, captured, refunded, ...table }) => [
    check(
      'payments_state_check',
      sql`${state} in ('PENDING', 'AUTHORIZED', 'FAILED', 'CAPTURED', 'VOIDED', 'REFUNDED')`,
    ),
    check('payments_requested_check', sql`${requested} > 0`),
    check('payments_check', sql`${authorized} between 0 and ${requested}`),
    check('payments_check1', sql`${captured} between 0 and ${authorized}`),
    check('payments_check2', sql`${refunded} between 0 and ${captured}`),
    check('payments_check3', sql`${state} not in ('PENDING', 'FAILED') or ${authorized} = 0`),
    check(
      'payments_check4',
      sql`${state} in ('PENDING', 'FAILED')
        or (${authorized} > 0 and ${table.authorizedAt} is not null and ${table.authorizationId} is not null)`,
    ),
    check('payments_check5', sql`(${state} in ('CAPTURED', 'REFUNDED')) = (${captured} > 0)`),
    check('payments_check6', sql`(${captured} > 0) = (${table.capturedAt} is not null)`),
    check('payments_check7', sql`(${state} = 'VOIDED') = (${table.voidedAt} is not null)`),
    check('payments_check8', sql`(${state} = 'REFUNDED') = (${table.refundedAt} is not null)`),
    check('payments_check9', sql`${state} <> 'REFUNDED' or ${refunded} = ${captured}`),
    index('payments_by_age').using('brin', table.requestedAt),
    check('payments_check10', sql`${state} <> 'FAILED' or ${table.reason} is not null`),
  ],
);
