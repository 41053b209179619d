/** Tables of timers and of the operator's switch for dispatching. */
import { sql } from 'drizzle-orm';
import { boolean, check, index, pgTable, primaryKey } from 'drizzle-orm/pg-core';
import type { OrderId } from '../../../domain/order.ts';
import type { Timer } from '../../../service/scheduling/ports.ts';
import { timestamptz, varcharC } from './columns.ts';

/** Deadlines of an order other than its due time, one of each kind; the due queue in Redis is their index. */
export const timers = pgTable(
  'timers',
  {
    orderId: varcharC('order_id', { length: 64 }).$type<OrderId>().notNull(),
    kind: varcharC('kind', { length: 16 }).$type<Timer['kind']>().notNull(),
    dueAt: timestamptz('due_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'timers_pkey', columns: [table.orderId, table.kind] }),
    index('timers_by_due').on(table.dueAt, table.orderId, table.kind),
  ],
);

/** The operator's switch for dispatching: one row. */
export const schedulerSwitch = pgTable(
  'scheduler_switch',
  {
    onlyRow: boolean('only_row').primaryKey().default(true),
    paused: boolean('paused').notNull(),
    changedAt: timestamptz('changed_at').notNull().default(sql`now()`),
  },
  (table) => [check('scheduler_switch_only_row_check', sql`${table.onlyRow}`)],
);
