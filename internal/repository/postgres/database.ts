/** The connection pool, its faults as the domain's errors, and the migrations. */
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { TiffinError } from '../../domain/errors.ts';

const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url));
/** Any number, so that processes that start together migrate one after another. */
const MIGRATION_LOCK = 7_337_001;

export function openPool(url: string, options: { max: number; onError: (error: Error) => void }): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max,
    connectionTimeoutMillis: 3_000,
    keepAlive: true,
    application_name: 'tiffin',
    // Every query here has its index. A statement that was planned while its table was empty would go on reading all of it,
    // until the statistics are next taken, a minute later.
    options: '-c enable_seqscan=off',
  });
  pool.on('error', options.onError);
  // A connection that is lost between two statements of a transaction says so here; its next statement fails.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

export async function migrateDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect().catch((error: Error) => {
    const { host, pathname } = new URL(url);
    // A name with several addresses fails with an error of errors, whose own message is empty.
    const reason = error.message || (error as NodeJS.ErrnoException).code;
    throw new TiffinError(
      'UNAVAILABLE',
      `The database ${pathname.slice(1)} at ${host} cannot be reached: ${reason}; is DATABASE_URL right?`,
      { cause: error },
    );
  });
  try {
    // Imported where it is used, for it is slow to load and a console never migrates.
    const [{ drizzle }, { migrate }] = await Promise.all([
      import('drizzle-orm/node-postgres'),
      import('drizzle-orm/node-postgres/migrator'),
    ]);
    await client.query('SET client_min_messages TO warning');
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await migrate(drizzle(client), {
      migrationsFolder: MIGRATIONS,
      migrationsSchema: 'public',
      migrationsTable: 'migrations',
    });
  } finally {
    await client.end();
  }
}

/** SQLSTATE classes and codes that pass by themselves: connection lost, shutting down, out of resources, lost races. */
const TRANSIENT_SQLSTATE = /^(08...|53...|57P0.|40001|40P01|55P03|25P03)$/;
const TRANSIENT_NETWORK = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;

/** Turns a driver's fault into UNAVAILABLE where it passes by itself; other faults stay as they are. */
export function asTransient(error: unknown): unknown {
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

/** A named statement is parsed once per connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export type Queryable = pg.Pool | pg.PoolClient;

export async function query<Row extends pg.QueryResultRow>(
  db: Queryable,
  statement: Statement,
  values: unknown[] = [],
): Promise<pg.QueryResult<Row>> {
  try {
    return await db.query<Row>({ name: statement.name, text: statement.text, values });
  } catch (error) {
    throw asTransient(error);
  }
}

/** JSON for a parameter; what Postgres cannot hold as text, NUL and half surrogate pairs, becomes U+FFFD. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!text.includes('\\u')) return text;
  // An escaped backslash is matched first, so that what follows it is not taken for an escape.
  return text.replace(/\\\\|\\u(?:0000|d[89a-f][0-9a-f]{2})/g, (found) =>
    found === '\\\\' ? found : '\\ufffd',
  );
}

export function isUniqueViolation(error: unknown, constraint: string): boolean {
  return error instanceof pg.DatabaseError && error.code === '23505' && error.constraint === constraint;
}
