/** Table that identifies the database, and holds the installation's own key. */
import { sql } from 'drizzle-orm';
import { boolean, check, pgTable, text, uuid } from 'drizzle-orm/pg-core';
import { timestamptz } from './columns.ts';

/** One row, which a migration makes: what is derived from a database and kept elsewhere carries its id. */
export const installation = pgTable(
  'installation',
  {
    onlyRow: boolean('only_row').primaryKey().default(true),
    databaseId: uuid('database_id').notNull().default(sql`gen_random_uuid()`),
    /** The key of the macs in tracking links: 244 random bits. Another one revokes all links. */
    trackingSecret: text('tracking_secret')
      .notNull()
      .default(sql`gen_random_uuid()::text || gen_random_uuid()::text`),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
  },
  (table) => [check('installation_only_row_check', sql`${table.onlyRow}`)],
);
