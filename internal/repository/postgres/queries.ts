/** Prepares queries: builds each once, prepares it once per connection, and maps driver errors to domain errors. */
import { fillPlaceholders, type SQL, sql } from 'drizzle-orm';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { type AnyPgColumn, PgDialect } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import { asTransient } from './database.ts';

export type Connection = pg.Pool | pg.PoolClient;
/** The values of a query's placeholders by name. */
export type Values = Readonly<Record<string, unknown>>;

const databases = new WeakMap<Connection, NodePgDatabase>();

/** Drizzle on the pool, or on the connection of a transaction. */
export function on(connection: Connection): NodePgDatabase {
  let database = databases.get(connection);
  if (!database) {
    database = drizzle({ client: connection });
    databases.set(connection, database);
  }
  return database;
}

/** A Drizzle query with placeholders. Building it for each call would cost as much as running it. */
export function prepared<Result>(
  name: string,
  build: (db: NodePgDatabase) => { prepare(name: string): { execute(values?: Values): Promise<Result> } },
): (connection: Connection, values?: Values) => Promise<Result> {
  const queries = new WeakMap<Connection, { execute(values?: Values): Promise<Result> }>();
  return (connection, values) => {
    let query = queries.get(connection);
    if (!query) {
      query = build(on(connection)).prepare(name);
      queries.set(connection, query);
    }
    return attempt(query.execute(values));
  };
}

/** A handwritten statement with placeholders. Rows are returned as the driver parses them. */
export function statement<Row extends pg.QueryResultRow>(
  name: string,
  text: SQL,
): (connection: Connection, values?: Values) => Promise<pg.QueryResult<Row>> {
  const { sql, params } = new PgDialect().sqlToQuery(text);
  return (connection, values = {}) =>
    attempt(connection.query<Row>({ name, text: sql, values: fillPlaceholders(params, { ...values }) }));
}

/**
 * Names the running server: its start, epoch µs. A promoted standby may lack what the last server had written, so what was
 * learned from one server is void at another (decision 59).
 */
export const SERVER = sql<string>`(select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint::text)`;

/** A Drizzle transaction. */
export type DrizzleTransaction = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0];

/** Takes the advisory lock of this number, waiting if necessary; the end of the transaction releases it. */
export async function takeAdvisoryLock(tx: Pick<NodePgDatabase, 'execute'>, lock: number): Promise<void> {
  await attempt(tx.execute(sql`select pg_advisory_xact_lock(${lock})`));
}

export async function attempt<Result>(query: PromiseLike<Result>): Promise<Result> {
  try {
    return await query;
  } catch (error) {
    throw asTransient(error);
  }
}

/** Column names without their table, or with the given alias. */
export function namesOf(columns: readonly AnyPgColumn[], alias?: string): SQL {
  const names = columns.map(({ name }) => sql`${sql.raw(alias ? `${alias}.` : '')}${sql.identifier(name)}`);
  return sql.join(names, sql`, `);
}

/** The condition that a column equals one of the values in the placeholder's array. */
export function isAnyOf(column: AnyPgColumn, placeholder: string): SQL {
  return sql`${column} = any(${sql.placeholder(placeholder)})`;
}
