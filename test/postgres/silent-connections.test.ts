/** Connections of a pool that a server does not answer any more: they are dropped, and newer ones are not. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { dropSilent, openPool } from '../../internal/repository/postgres/database.ts';
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
});
