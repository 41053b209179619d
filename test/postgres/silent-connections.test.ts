/** Connections of a pool that a server does not answer any more: they are dropped, and newer ones are not. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { dropSilent, migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';

describe('connections that have fallen silent', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let proxy: ServerProxy;
  let pool: ReturnType<typeof openPool>;

  before(async () => {
    database = await freshDatabase();
    proxy = await proxyTo(database.url);
    pool = openPool(proxy.url, { max: 4, onError: () => {} });
  });
  after(async () => {
    await pool.end();
    await proxy.close();
    await database.drop();
  });

  const outcome = (asked: Promise<unknown>) =>
    asked.then(
      () => 'answered',
      (error: Error) => error.message,
    );

  it('what waits on them fails, those that are being made too, and the next query is answered', async () => {
    await pool.query('SELECT 1');
    proxy.vanish();
    const waiting = [outcome(pool.query('SELECT 1')), outcome(pool.query('SELECT 1'))];
    await until('a second connection to be begun', () => pool.totalCount === 2);
    proxy.reappear(true);
    dropSilent(pool, performance.now());
    for (const message of await Promise.all(waiting))
      assert.match(message, /^(Connection terminated|the database is unavailable)/);
    assert.equal(await outcome(pool.query('SELECT 1')), 'answered');
  });

  it('a connection that was made since then goes on', async () => {
    await pool.query('SELECT 1');
    const since = performance.now();
    const [slow, fast] = [pool.query('SELECT pg_sleep(0.5)'), pool.query('SELECT 1')];
    await fast;
    dropSilent(pool, since);
    const outcomes = [await outcome(slow), await outcome(pool.query('SELECT pg_backend_pid()'))];
    assert.deepEqual(outcomes, ['Connection terminated unexpectedly', 'answered']);
    assert.equal(pool.totalCount, 1, 'the connection that was made meanwhile');
  });

  it('a migration, which has no time limit, lets the kernel ask every few seconds whether the server is there', {
    skip: process.platform !== 'linux' && 'only Linux tells of its timers',
  }, async () => {
    const own = await proxyTo(database.url);
    await migrateDatabase(database.url);
    // With a lock on its table, the next one waits.
    const other = await pool.connect();
    await other.query('BEGIN');
    await other.query('LOCK TABLE migrations');
    const migration = migrateDatabase(own.url);
    const port = Number(new URL(own.url).port).toString(16).toUpperCase().padStart(4, '0');
    // Of the socket's timer: its kind, 2 for keepalive, and when it runs out, in hundredths of a second.
    const timer = new RegExp(`: \\w+:\\w+ \\w+:${port} 01 \\S+ 02:(\\w+)`);
    try {
      const found = await until(
        'it',
        () => timer.exec(readFileSync('/proc/net/tcp', 'latin1')) ?? false,
        3_000,
      );
      assert.ok(Number.parseInt(found[1] as string, 16) <= 300);
    } finally {
      await other.query('ROLLBACK');
      other.release();
      await migration;
      await own.close();
    }
  });
});
