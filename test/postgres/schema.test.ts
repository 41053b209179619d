/** The schema describes the database that the migrations create: compares the catalogs of both. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import pg from 'pg';
import { migrateDatabase } from '../../internal/repository/postgres/database.ts';
import { describedDdl } from '../support/schema.ts';
import { freshDatabase } from '../support/servers.ts';

/** The part of the tables that Drizzle cannot express. Migrations set it by SQL written by hand. */
const BEYOND_DRIZZLE = `
  ALTER TABLE consumer_cursors SET (fillfactor = 20);
  ALTER TABLE inventory_items SET (fillfactor = 50);
  ALTER TABLE payments SET (fillfactor = 50);
  ALTER TABLE riders SET (fillfactor = 50);
  CREATE SCHEMA unpartitioned;
  ALTER TABLE order_history SET SCHEMA unpartitioned;
  CREATE TABLE order_history (LIKE unpartitioned.order_history INCLUDING ALL) PARTITION BY RANGE (at);
  DROP SCHEMA unpartitioned CASCADE;
  CREATE TABLE order_history_rest PARTITION OF order_history DEFAULT;`;

// Output: a line for each table, column, index, constraint and sequence. Column lines contain NOT NULL, so
// the constraints of type 'n', which repeat it since Postgres 18, are left out.
const CATALOG = `
  WITH tables AS (
    SELECT * FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'migrations')
  SELECT concat_ws(' ', 'table', relname, relkind, reloptions, pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid)) AS line
  FROM tables
  UNION ALL
  SELECT concat_ws(' ', 'column', relname, attname, format_type(atttypid, atttypmod),
    CASE WHEN attnotnull THEN 'NOT NULL' END, pg_get_expr(adbin, adrelid), 'COLLATE ' || collname::text, 'IDENTITY ' || nullif(attidentity::text, ''))
  FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef ON (adrelid, adnum) = (a.attrelid, attnum) LEFT JOIN pg_collation c ON c.oid = attcollation
  UNION ALL
  SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), CASE WHEN NOT indisvalid THEN 'INVALID' END)
  FROM tables t JOIN pg_index ON indrelid = t.oid
  UNION ALL
  SELECT concat_ws(' ', 'constraint', relname, conname, pg_get_constraintdef(c.oid))
  FROM tables t JOIN pg_constraint c ON conrelid = t.oid AND contype <> 'n'
  UNION ALL
  SELECT concat_ws(' ', 'sequence', sequencename, data_type, start_value, min_value, max_value, increment_by, cycle, cache_size)
  FROM pg_sequences WHERE schemaname = 'public' AND sequencename <> 'migrations_id_seq'
  ORDER BY line`;

async function catalogAfter(make: (url: string, client: pg.Client) => Promise<unknown>): Promise<string[]> {
  const database = await freshDatabase();
  const client = new pg.Client({ connectionString: database.url });
  try {
    await client.connect();
    await make(database.url, client);
    return (await client.query<{ line: string }>(CATALOG)).rows.map(({ line }) => line);
  } finally {
    await client.end();
    await database.drop();
  }
}

it('the migrations create exactly the tables, indexes and constraints that the schema describes', async () => {
  const ddl = await describedDdl();
  const described = await catalogAfter((_url, client) => client.query(ddl + BEYOND_DRIZZLE));
  const migrated = await catalogAfter((url) => migrateDatabase(url));
  assert.ok(migrated.length > 200, `the catalog has ${migrated.length} lines`);
  assert.deepEqual(described, migrated);
});
