/** Connections to Postgres that cannot be used any longer: the work that met one fails as UNAVAILABLE, and the next gets another. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import pg from 'pg';
import { SESSION } from '../../internal/repository/postgres/client.ts';
import { clientOf, migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { postgresTransactions } from '../../internal/repository/postgres/transactions.ts';
import { processingEvent } from '../support/builders.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';

describe('a connection to Postgres that cannot be used any longer', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let proxy: ServerProxy;
  let pool: pg.Pool;

  beforeEach(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    proxy = await proxyTo(database.url);
    // One connection, so that the next transaction has it if it was kept.
    pool = openPool(proxy.url, { max: 1, onError() {} });
  });
  afterEach(async () => {
    await pool.end();
    await proxy.close();
    await database.drop();
  });

  const processOf = async () => (await pool.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
  /** Runs statements in one transaction, and appends an event. */
  const write = (...statements: string[]) =>
    postgresTransactions(pool, () => {}).run(async (tx) => {
      for (const statement of statements) await clientOf(tx).query(statement);
      await tx.appendEvents([processingEvent('order', crypto.randomUUID())]);
    });
  const unavailable = { code: 'UNAVAILABLE' };

  it('is replaced if its server takes no writes any longer', async () => {
    const before = await processOf();
    // As the primary that became a standby: this session cannot write, a new one can.
    await pool.query('SET default_transaction_read_only = on');
    await assert.rejects(write(), unavailable);
    await write();
    assert.notEqual(await processOf(), before);
  });

  const ended: [why: string, statements: string[]][] = [
    ['its transaction took too long', ["SET LOCAL transaction_timeout = '100ms'", 'SELECT pg_sleep(1)']],
    ['an operator ended it', ['SELECT pg_terminate_backend(pg_backend_pid())']],
  ];
  for (const [why, statements] of ended)
    it(`is replaced if the server closed it because ${why}`, async () => {
      const before = await processOf();
      await assert.rejects(write(...statements), unavailable);
      await write();
      assert.notEqual(await processOf(), before);
    });

  it('is replaced if the server closed it because its transaction was idle for too long', async () => {
    const before = await processOf();
    await assert.rejects(
      postgresTransactions(pool, () => {}).run(async (tx) => {
        const client = clientOf(tx);
        await client.query("SET LOCAL idle_in_transaction_session_timeout = '100ms'");
        const closed = new Promise((resolve) => client.once('end', resolve));
        await closed;
        await tx.appendEvents([processingEvent('order', crypto.randomUUID())]);
      }),
      unavailable,
    );
    await write();
    assert.notEqual(await processOf(), before);
  });

  it('stays in use if only a statement took too long', async () => {
    const before = await processOf();
    await assert.rejects(write("SET LOCAL statement_timeout = '100ms'", 'SELECT pg_sleep(1)'), unavailable);
    await write();
    assert.equal(await processOf(), before);
  });

  it('is given up by the one who waits for its answer, and whoever waits for it gets another', async () => {
    await write();
    proxy.silence();
    const silent = assert.rejects(write(), unavailable);
    // Refused once, since the pool makes no one wait longer than 3 s; the next one waits when the answer is given up at 4.5 s.
    let refused = 0;
    await until('a transaction over another connection', () =>
      write().then(
        () => true,
        () => {
          refused += 1;
          return false;
        },
      ),
    );
    await silent;
    assert.equal(refused, 1);
  });

  it('is given up if it cannot be made, because the host has vanished; afterwards it can', async () => {
    proxy.vanish();
    await assert.rejects(write(), unavailable);
    proxy.reappear();
    await write();
  });

  it('holds its locks for a few seconds at most in a transaction that its host has left open', async () => {
    const client = await pool.connect();
    const other = new pg.Client({ connectionString: database.url });
    try {
      await client.query('BEGIN');
      await client.query('LOCK TABLE orders');
      proxy.silence();
      await other.connect();
      await other.query("SET statement_timeout = '20s'");
      await other.query('BEGIN');
      await other.query('LOCK TABLE orders');
    } finally {
      await other.end();
      client.release(true);
    }
  });

  it('has every limit of a session, those for a host that vanishes included', async () => {
    const names = Object.keys(SESSION);
    const { rows } = await pool.query('SELECT name, setting FROM pg_settings WHERE name = ANY($1)', [names]);
    assert.deepEqual(Object.fromEntries(rows.map(({ name, setting }) => [name, Number(setting)])), {
      statement_timeout: 4_000,
      idle_in_transaction_session_timeout: 3_500,
      tcp_keepalives_idle: 3,
      tcp_keepalives_interval: 1,
      tcp_keepalives_count: 3,
      tcp_user_timeout: 6_000,
    });
  });
});
