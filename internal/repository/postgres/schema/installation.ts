/** Table that identifies the database. */
import { sql } from 'drizzle-orm';
import { boolean, check, pgTable, uuid } from 'drizzle-orm/pg-core';
import { timestamptz } from './columns.ts';

/** One row, which a migration makes: what is derived from a database and kept elsewhere carries its id. */
export const installation = pgTable(
  'installation',
  {
    onlyRow: boolean('only_row').primaryKey().default(true),
    databaseId: uuid('database_id').notNull().default(sql`gen_random_uuid()`),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
  },
  (table) => [check('installation_only_row_check', sql`${table.onlyRow}`)],
);
