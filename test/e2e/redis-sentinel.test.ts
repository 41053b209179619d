/** A Redis behind Sentinel: when its primary is killed or replaced, every order still leaves once, and in time afterwards. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { assertCompletedOnce } from '../support/once.ts';
import type { OwnRedis } from '../support/own-redis.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { type SentinelRedis, startSentinelRedis } from '../support/redis-sentinel.ts';
import { freshDatabase } from '../support/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

/** After a second of silence the Sentinels agree, elect a leader, and promote the replica. */
const FAILOVER_MS = 15_000;
const ORDERS = 60;

describe('a Redis behind Sentinel', { skip: !hasNativeRedis() && 'there is no redis-server' }, () => {
  let redis: SentinelRedis;
  let program: Program;
  let database: Awaited<ReturnType<typeof freshDatabase>>;

  beforeEach(async () => {
    [redis, database] = await Promise.all([startSentinelRedis(), freshDatabase()]);
    program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: `${redis.url}/3` });
    await until('the first rebuild', () => program.log.find(({ msg }) => msg === 'the schedule is complete'));
  });
  afterEach(async () => {
    await program.kill();
    await Promise.all([redis.stop(), database.drop()]);
  });

  const place = async (id: string, inMs: number) => {
    const scheduled_time = new Date(Date.now() + inMs).toISOString();
    const body = { id, customer_name: 'Asha', total_price: 5, scheduled_time };
    assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
  };
  const isReady = async () => (await request('GET', `${program.url}/readyz`)).status === 200;

  const losses: Readonly<Record<string, (primary: OwnRedis) => Promise<void> | void>> = {
    'that is killed': (primary) => primary.kill(),
    'that falls silent': (primary) => primary.freeze(),
  };
  for (const [what, end] of Object.entries(losses))
    it(`orders that are due around the loss of a primary ${what} all complete once`, async (t) => {
      const ids = Array.from({ length: ORDERS }, (_, n) => `order-${n}`);
      await Promise.all(ids.map((id, n) => place(id, 1_000 + n * 100)));
      const primary = await redis.primary();
      const started = performance.now();
      await end(primary);
      await until('another primary', async () => (await redis.primary()) !== primary, FAILOVER_MS);
      const replaced = performance.now() - started;
      await until('readiness', isReady, 10_000);
      const ready = performance.now() - started;
      await place('after', 0);
      await Promise.all([...ids, 'after'].map((id) => reaches(program.url, id, 'COMPLETED')));
      const completed = performance.now() - started;
      t.diagnostic(
        `primary replaced after ${Math.round(replaced)} ms, ready after ${Math.round(ready)} ms, all ${ids.length} completed after ${Math.round(completed)} ms`,
      );
      await assertCompletedOnce(database.url, [...ids, 'after']);
      assert.deepEqual((await request('GET', `${program.url}/admin/dlq`)).body.deadLetters, []);
      assert.deepEqual(
        program.log.filter(({ level }) => level === 'error' || level === 'fatal'),
        [],
      );
    });
});
