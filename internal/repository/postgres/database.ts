/** Opens the pool, applies the migrations, maps driver errors to domain errors, and finds a transaction's connection. */
import { fileURLToPath } from 'node:url';
import { getTableName } from 'drizzle-orm';
import { DrizzleQueryError } from 'drizzle-orm/errors';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { TiffinError } from '../../domain/errors.ts';
import type { Transaction } from '../../service/ports.ts';
import { type Clients, CONNECT_LIMIT_MS, clientsTo, SESSION } from './client.ts';
import { parseDatabaseUrl } from './database-url.ts';
import { orders } from './schema/orders.ts';
import { events } from './schema/stream.ts';

export const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url));
/** Advisory lock number (arbitrary): processes that start together migrate one after another. */
const MIGRATION_LOCK = 7_337_001;

/**
 * Every query has an index. A statement planned while its table was empty would otherwise scan the whole table until
 * autovacuum refreshes the statistics a minute later.
 */
const QUERIES = { enable_seqscan: 'off' };

export interface PoolOptions {
  readonly max: number;
  readonly onError: (error: Error) => void;
  /** True if the URL leads to a pooler such as PgBouncer in transaction mode. */
  readonly isPooled?: boolean;
}

export function openPool(url: string, options: PoolOptions): pg.Pool {
  const { max, isPooled = false } = options;
  const Client = clientsTo(url, { session: QUERIES, isPooled });
  const pool = new pg.Pool({ max, Client, connectionTimeoutMillis: CONNECT_LIMIT_MS });
  constructors.set(pool, Client);
  pool.on('error', options.onError);
  return pool;
}

const constructors = new WeakMap<pg.Pool, Clients>();

/** Drops the pool's connections that were not made since then (`performance.now`): they would wait for their time limit. */
export function dropSilent(pool: pg.Pool, since: number): void {
  constructors.get(pool)?.dropSilent(since);
}

/**
 * Waits for what an order would wait for, as a transaction of its own: one text is one transaction. A probe is answered
 * within 2 s, so this gives up before. What the last statement counts does not fit into its memory, so the server writes it
 * to a file beside the tables, which leaves nothing behind.
 */
const TRY_TO_WRITE = `SET LOCAL lock_timeout = '1s'; LOCK TABLE ${getTableName(orders)}, ${getTableName(events)} IN ROW EXCLUSIVE MODE;
  SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 10000)`;
const WRITE_FAULTS: Readonly<Record<string, string>> = {
  '55P03': 'a lock keeps orders or events from being written',
  '53100': 'the disk of the database is full',
};

/** Why orders cannot be written; undefined if they can. */
export async function faultOfDatabase(pool: pg.Pool): Promise<string | undefined> {
  let client: pg.PoolClient | undefined;
  try {
    client = await pool.connect();
    const { rows } = await client.query(`SELECT current_setting('transaction_read_only') AS "readOnly"`);
    if (rows[0].readOnly === 'on') throw new Error('the server accepts no writes');
    await client.query(TRY_TO_WRITE);
    client.release();
    return undefined;
  } catch (error) {
    // Another connection may reach a server that takes writes.
    client?.release(true);
    return WRITE_FAULTS[codeOf(error as Error)] ?? reasonOf(error);
  }
}

/** A host name with several addresses fails with an AggregateError, whose own message is empty. */
function reasonOf(error: unknown): string {
  const { message, code } = (error instanceof TiffinError ? error.cause : error) as NodeJS.ErrnoException;
  return message || String(code);
}

/** The server's time, epoch milliseconds. */
export async function timeOfDatabase(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now');
  return rows[0].now;
}

export interface MigrationOptions {
  readonly folder?: string;
  /** True if queries will come through a pooler, which takes no settings for a session: this role then gets them. */
  readonly isPooled?: boolean;
}

/** Applies the pending migrations, over a connection to Postgres itself. */
export async function migrateDatabase(url: string, options: MigrationOptions = {}): Promise<void> {
  const { folder = MIGRATIONS, isPooled = false } = options;
  // Migrations have no time limit, so that only the kernel notices a server that has vanished meanwhile.
  const config = { query_timeout: undefined, keepAlive: true, keepAliveInitialDelayMillis: 3_000 };
  const client = new (clientsTo(url, { session: { statement_timeout: 0 }, config }))();
  await client.connect().catch((error: unknown) => {
    const reason = reasonOf(error);
    const { hosts, database } = parseDatabaseUrl(url);
    const host = hosts.map((each) => `${each.host}:${each.port}`).join(', ');
    if (/unsupported startup parameter/.test(reason))
      throw new TiffinError(
        'INVALID_INPUT',
        `${host} is a connection pooler such as PgBouncer; set DATABASE_DIRECT_URL to the Postgres behind it.`,
        { cause: error },
      );
    throw new TiffinError(
      'UNAVAILABLE',
      `The database ${database} at ${host} cannot be reached: ${reason}; is DATABASE_URL right?`,
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
    if (isPooled) {
      const database = client.escapeIdentifier(client.database ?? '');
      for (const [name, value] of Object.entries({ ...SESSION, ...QUERIES }))
        await client.query(`ALTER ROLE CURRENT_USER IN DATABASE ${database} SET ${name} = '${value}'`);
    }
  } finally {
    await client.end();
  }
}

/** Transient SQLSTATE classes and codes: connection lost, shutting down, out of resources, timeout, lost race. */
const TRANSIENT_SQLSTATE = /^(08...|53...|57P0.|40001|40P01|55P03|25P0[34]|57014)$/;
/** Read-only: the server became a standby, or its disk is full; another connection may reach the new primary. */
const READ_ONLY = '25006';
const TRANSIENT_NETWORK = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;

/** Turns a transient driver error into UNAVAILABLE; returns other errors unchanged. */
export function asTransient(caught: unknown): unknown {
  const error = caught instanceof DrizzleQueryError ? caught.cause : caught;
  if (!(error instanceof Error) || error instanceof TiffinError) return error;
  return TRANSIENT_SQLSTATE.test(codeOf(error)) || isLost(error)
    ? new TiffinError('UNAVAILABLE', 'the database is unavailable', { cause: error })
    : error;
}

function codeOf(error: Error): string {
  return String((error as { code?: unknown }).code ?? '');
}

/** True if the error, or one that caused it, leaves its connection unusable. */
export function isLost(caught: unknown): boolean {
  if (!(caught instanceof Error)) return false;
  return (
    codeOf(caught) === READ_ONLY ||
    TRANSIENT_NETWORK.test(codeOf(caught)) ||
    /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
      caught.message,
    ) ||
    isLost(caught.cause)
  );
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
