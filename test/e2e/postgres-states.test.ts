/** A Postgres that is there but does not serve: it takes no writes, waits for a lock, or has fallen silent. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import pg from 'pg';
import { assertEachCompletedOnce } from '../support/orders.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

/** A request is answered within this time, ms, whatever happened to the connections. */
const ANSWER_LIMIT_MS = 5_000;

describe('a Postgres that does not serve', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let proxy: ServerProxy;
  let admin: pg.Client;
  let program: Program;

  beforeEach(async () => {
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    proxy = await proxyTo(database.url);
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    program = await startProgram({ DATABASE_URL: proxy.url, REDIS_URL: redis.url });
    await place('before');
    await reaches(program.url, 'before', 'COMPLETED');
  });
  afterEach(async () => {
    await program.kill();
    await admin.end();
    await proxy.close();
    await Promise.all([database.drop(), redis.drop()]);
  });

  const place = (id: string) =>
    request('POST', `${program.url}/orders`, { id, customer_name: 'Asha', total_price: 5 });
  const ready = () => request('GET', `${program.url}/readyz`);

  async function goesOn(): Promise<void> {
    await until('placing to work again', async () => (await place('after')).status < 300);
    await reaches(program.url, 'after', 'COMPLETED');
    await until('the program to be ready', async () => (await ready()).status === 200);
    assert.deepEqual(
      program.log.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    );
    await assertEachCompletedOnce(database.url, ['before', 'after']);
  }

  it('a read-only server makes placing 503 with Retry-After and the process not ready, until it takes writes', async () => {
    const name = new URL(database.url).pathname.slice(1);
    const endOthers =
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()';
    await admin.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    await admin.query(endOthers, [name]);
    const refused = await until('a refusal by the read-only server', async () => {
      const answer = await place('during');
      return answer.status === 503 && answer;
    });
    assert.ok(refused.headers.get('retry-after'));
    assert.equal(refused.body.errors[0].code, 'UNAVAILABLE');
    const readiness = await ready();
    assert.deepEqual(
      [readiness.status, readiness.body.checks.postgres],
      [503, 'the server accepts no writes'],
    );
    // As a failover back to a primary: the open connections are still those to the read-only server.
    await admin.query('SET default_transaction_read_only = off');
    await admin.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
    await goesOn();
  });

  it('a statement that waits for a lock ends with 503 within its time limit, and the program goes on afterwards', async () => {
    await admin.query('BEGIN');
    await admin.query('LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
    const started = performance.now();
    const refused = await place('during');
    assert.equal(refused.status, 503);
    assert.ok(refused.headers.get('retry-after'));
    assert.ok(performance.now() - started < ANSWER_LIMIT_MS + 1_000);
    await admin.query('ROLLBACK');
    await goesOn();
  });

  it('connections that fall silent are replaced: requests are answered in time, and orders are processed again', async () => {
    proxy.silence();
    const started = performance.now();
    const first = await request('GET', `${program.url}/orders/before`);
    assert.ok([200, 503].includes(first.status), `${first.status}`);
    assert.ok(performance.now() - started < ANSWER_LIMIT_MS, `${performance.now() - started} ms`);
    await goesOn();
  });
});
