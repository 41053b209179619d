/** Timers, and the operator's switch. */
import { sql } from 'drizzle-orm';
import { boolean, check, index, pgTable, primaryKey } from 'drizzle-orm/pg-core';
import type { OrderId } from '../../../domain/order.ts';
import type { Timer } from '../../../service/scheduling/ports.ts';
import { timestamptz, varcharC } from './columns.ts';

/** What happens to an order later, apart from its being due; one of a kind for each order. Redis holds the index. */
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
