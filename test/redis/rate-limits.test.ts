/** Counting requests in a real Redis: for several processes together, and without it while it is away or silent. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Redis } from 'ioredis';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { redisRateLimits } from '../../internal/repository/redis/rate-limits.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { recordingLog } from '../support/recording-log.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { until } from '../support/until.ts';

const OPTIONS = { prefix: 'stage', limit: 5, windowS: 60 };

async function setUp(t: TestContext) {
  const server = await startOwnRedis();
  const log = recordingLog();
  const connections = [openRedis(server.url, log), openRedis(server.url, log)] as const;
  t.after(async () => {
    for (const redis of connections) redis.disconnect();
    await server.stop();
  });
  await Promise.all(connections.map((redis) => redis.ping()));
  const [one, two] = connections.map((redis) => redisRateLimits(redis, log, OPTIONS)) as [
    ReturnType<typeof redisRateLimits>,
    ReturnType<typeof redisRateLimits>,
  ];
  return { server, log, redis: connections[0] as Redis, one, two };
}

test('two processes count the requests of one client together, and each client by itself', async (t) => {
  const { one, two } = await setUp(t);
  const asha = [];
  for (let n = 0; n < 4; n++) asha.push(await (n % 2 ? one : two).take('asha'));
  assert.deepEqual(
    asha.map(({ remaining, isOver }) => [remaining, isOver]),
    [4, 3, 2, 1].map((remaining) => [remaining, false]),
  );
  assert.equal((await one.take('asha')).isOver, false);
  for (const process of [one, two, one, two]) {
    const { isOver, remaining, resetS } = await process.take('asha');
    assert.deepEqual([isOver, remaining], [true, 0]);
    assert.ok(resetS >= 1 && resetS <= 60, String(resetS));
  }
  assert.equal((await two.take('ben')).remaining, 4);
});

test('the keys have the installation’s prefix, expire, and hold nothing that a client chose', async (t) => {
  const { one, redis } = await setUp(t);
  for (const who of ['{tag}*?[a]', 'a\r\nb\0', 'subject Meera', 'x'.repeat(5_000)]) await one.take(who);
  const keys = await redis.keys('*');
  assert.equal(keys.length, 4);
  for (const key of keys) {
    assert.match(key, /^stage:rate:[\w-]{22}$/);
    assert.ok((await redis.ttl(key)) > 0);
  }
});

for (const fault of ['killed', 'silent'] as const) {
  test(`while Redis is ${fault}, no request fails or waits long, and each process limits by itself`, async (t) => {
    const { server, log, one } = await setUp(t);
    const stop = async () => (fault === 'killed' ? server.kill() : server.freeze());
    const warnings = () => log.at('warn').filter((line) => JSON.stringify(line).includes('by itself')).length;
    await one.take('asha');
    await stop();
    const started = performance.now();
    const results = [];
    for (let n = 0; n < 8; n++) results.push(await one.take('asha'));
    assert.ok(performance.now() - started < 2_000);
    assert.deepEqual(
      results.map(({ isOver }) => isOver),
      [false, false, false, false, false, true, true, true],
    );
    assert.equal(warnings(), 1);
    await (fault === 'killed' ? server.start() : server.thaw());
    await server.call('FLUSHALL');
    await until('Redis to count again', async () => {
      await one.take('ben');
      return (await server.call('DBSIZE')) !== 0;
    });
    assert.equal(warnings(), 1);
    await stop();
    await one.take('ben');
    assert.equal(warnings(), 2, 'the next outage is reported too');
    assert.deepEqual(log.at('error'), []);
  });
}

test('on a Redis Cluster the requests of each client are counted together', async (t) => {
  const cluster = await startRedisCluster();
  const log = recordingLog();
  const redis = openRedis(cluster.url, log);
  t.after(async () => {
    redis.disconnect();
    await cluster.stop();
  });
  await until('the connection', () => redis.status === 'ready');
  const [one, two] = [redisRateLimits(redis, log, OPTIONS), redisRateLimits(redis, log, OPTIONS)];
  for (const who of ['asha', 'ben', 'chen', 'devi']) {
    await one.take(who);
    assert.equal((await two.take(who)).remaining, 3, who);
  }
  assert.deepEqual(log.at('warn'), []);
});
