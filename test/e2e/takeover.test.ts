/** The work of a process that is killed, or stopped by a signal, goes on in another one within five seconds. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import pg from 'pg';
import { assertEachCompletedOnce } from '../support/orders.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

const TAKEOVER_LIMIT_MS = 5_000;
const WORKERS = ['scheduler-worker', 'processing-service'];

describe('two processes share the work on the Postgres stream', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let admin: pg.Client;
  let api: Program;
  let first: Program;
  let second: Program;

  beforeEach(async () => {
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    const env = { DATABASE_URL: database.url, REDIS_URL: redis.url };
    api = await startProgram(env, ['order-service']);
    // The first worker has every consumer before the second one starts.
    first = await startProgram(env, WORKERS);
    await place('before');
    await reaches(api.url, 'before', 'COMPLETED');
    second = await startProgram(env, WORKERS);
  });
  afterEach(async () => {
    first.child.kill('SIGCONT');
    await Promise.all([api, first, second].map((program) => program.kill()));
    await admin.end();
    await Promise.all([database.drop(), redis.drop()]);
  });

  const place = (id: string) =>
    request('POST', `${api.url}/orders`, { id, customer_name: 'Asha', total_price: 5 });

  it('an order that is placed when the leader is killed completes within five seconds', async () => {
    await first.kill();
    const started = performance.now();
    assert.equal((await place('after')).status, 201);
    await reaches(api.url, 'after', 'COMPLETED');
    assert.ok(performance.now() - started < TAKEOVER_LIMIT_MS, `${performance.now() - started} ms`);
    await assertEachCompletedOnce(database.url, ['before', 'after']);
  });

  it('an order that is placed when the leader is stopped completes within five seconds, and once, when the leader goes on', async () => {
    first.child.kill('SIGSTOP');
    const started = performance.now();
    assert.equal((await place('after')).status, 201);
    await reaches(api.url, 'after', 'COMPLETED');
    assert.ok(performance.now() - started < TAKEOVER_LIMIT_MS, `${performance.now() - started} ms`);
    first.child.kill('SIGCONT');
    await until('the first process to say that it lost its session', () =>
      first.log.some(({ msg }) => msg === 'the listening connection was lost'),
    );
    assert.equal((await place('last')).status, 201);
    await reaches(api.url, 'last', 'COMPLETED');
    await until(
      'the first process to be ready',
      async () => (await request('GET', `${first.url}/readyz`)).status === 200,
    );
    await assertEachCompletedOnce(database.url, ['before', 'after', 'last']);
  });
});
