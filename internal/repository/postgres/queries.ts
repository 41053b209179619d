/** Queries: built once, prepared by Postgres once for each connection, with the driver's faults as the domain's errors. */
import { fillPlaceholders, type SQL, sql } from 'drizzle-orm';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { type AnyPgColumn, PgDialect } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import { asTransient } from './database.ts';

export type Connection = pg.Pool | pg.PoolClient;
/** The values of a query's placeholders, by their names. */
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

/** A query of Drizzle's with placeholders. Building it again for each call would cost as much as running it. */
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

/** A statement written by hand, with placeholders. Rows come as the driver reads them. */
export function statement<Row extends pg.QueryResultRow>(
  name: string,
  text: SQL,
): (connection: Connection, values?: Values) => Promise<pg.QueryResult<Row>> {
  const { sql, params } = new PgDialect().sqlToQuery(text);
  return (connection, values = {}) =>
    attempt(connection.query<Row>({ name, text: sql, values: fillPlaceholders(params, { ...values }) }));
}

/** A transaction of Drizzle's own. */
export type DrizzleTransaction = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0];

/** Waits until no other transaction holds the lock of this number; it is released with the transaction. */
export async function takeAdvisoryLock(tx: DrizzleTransaction, lock: number): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${lock})`);
}

export async function attempt<Result>(query: PromiseLike<Result>): Promise<Result> {
  try {
    return await query;
  } catch (error) {
    throw asTransient(error);
  }
}

/** The bare names of columns, where SQL takes no table before them; with an alias before each where one is named. */
export function namesOf(columns: readonly AnyPgColumn[], alias?: string): SQL {
  const names = columns.map(({ name }) => sql`${sql.raw(alias ? `${alias}.` : '')}${sql.identifier(name)}`);
  return sql.join(names, sql`, `);
}

/** Whether a column has one of the values of the placeholder, an array. */
export function isAnyOf(column: AnyPgColumn, placeholder: string): SQL {
  return sql`${column} = any(${sql.placeholder(placeholder)})`;
}
