/** Opens the pool, applies the migrations, maps driver errors to domain errors, and finds a transaction's connection. */
import { fileURLToPath } from 'node:url';
import { DrizzleQueryError } from 'drizzle-orm/errors';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { TiffinError } from '../../domain/errors.ts';
import type { Transaction } from '../../service/ports.ts';

export const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url));
/** Advisory lock number (arbitrary): processes that start together migrate one after another. */
const MIGRATION_LOCK = 7_337_001;

export function openPool(url: string, options: { max: number; onError: (error: Error) => void }): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max,
    connectionTimeoutMillis: 3_000,
    keepAlive: true,
    application_name: 'tiffin',
    // Every query has an index. A statement planned while its table was empty would otherwise scan the whole table until
    // autovacuum refreshes the statistics a minute later.
    options: '-c enable_seqscan=off',
  });
  pool.on('error', options.onError);
  // A connection lost between two statements of a transaction emits 'error' here; its next statement fails.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** Applies the pending migrations. */
export async function migrateDatabase(url: string, folder = MIGRATIONS): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect().catch((error: Error) => {
    const { host, pathname } = new URL(url);
    // A host name with several addresses fails with an AggregateError, whose own message is empty.
    const reason = error.message || (error as NodeJS.ErrnoException).code;
    throw new TiffinError(
      'UNAVAILABLE',
      `The database ${pathname.slice(1)} at ${host} cannot be reached: ${reason}; is DATABASE_URL right?`,
      { cause: error },
    );
  });
  try {
    await client.query('SET client_min_messages TO warning');
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await migrate(drizzle(client), {
      migrationsFolder: folder,
      migrationsSchema: 'public',
      migrationsTable: 'migrations',
    });
  } finally {
    await client.end();
  }
}

/** Transient SQLSTATE classes and codes: connection lost, shutting down, out of resources, timeout, lost race. */
const TRANSIENT_SQLSTATE = /^(08...|53...|57P0.|40001|40P01|55P03|25P03)$/;
const TRANSIENT_NETWORK = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;

/** Turns a transient driver error into UNAVAILABLE; returns other errors unchanged. */
export function asTransient(caught: unknown): unknown {
  const error = caught instanceof DrizzleQueryError ? caught.cause : caught;
  if (!(error instanceof Error) || error instanceof TiffinError) return error;
  const code = String((error as { code?: unknown }).code ?? '');
  const lost =
    TRANSIENT_SQLSTATE.test(code) ||
    TRANSIENT_NETWORK.test(code) ||
    /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
      error.message,
    );
  return lost ? new TiffinError('UNAVAILABLE', 'the database cannot be reached', { cause: error }) : error;
}

export function isViolationOf(error: unknown, constraint: string): boolean {
  const fault = error instanceof DrizzleQueryError ? error.cause : error;
  return fault instanceof pg.DatabaseError && fault.constraint === constraint;
}

const clients = new WeakMap<Transaction, pg.PoolClient>();

/** Registers a transaction's connection for the stores that take part in the transaction. */
export function bindClient(tx: Transaction, client: pg.PoolClient): void {
  clients.set(tx, client);
}

/** The connection of a transaction. */
export function clientOf(tx: Transaction): pg.PoolClient {
  const client = clients.get(tx);
  if (!client) throw new TypeError('this transaction is not one of Postgres');
  return client;
}
