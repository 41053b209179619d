/** Runs the due queue contracts against the queue in memory and the queue on each Redis. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import type { OrderId } from '../../internal/domain/order.ts';
import { openRedis, serversOf } from '../../internal/repository/redis/connection.ts';
import { redisDueQueue } from '../../internal/repository/redis/due-queue.ts';
import { serverClock } from '../../internal/repository/redis/server-clock.ts';
import { memoryQueue } from '../support/in-memory-queue.ts';
import { manualClock } from '../support/manual-clock.ts';
import { recordingLog } from '../support/recording-log.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { redisServers } from '../support/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';
import { dueQueueContract, type QueueHarness } from './due-queue.ts';
import { dueQueueLossesContract } from './due-queue-losses.ts';
import { dueQueueShardsContract } from './due-queue-shards.ts';
import { dueQueueTimersContract } from './due-queue-timers.ts';

const inMemory: QueueHarness = {
  async open(options) {
    const clock = manualClock();
    const queue = memoryQueue(clock, options);
    return {
      queue,
      now: async () => clock.now(),
      until: async (time) => clock.advance(Math.max(0, time - clock.now())),
      lose: async () => queue.flush(),
      loseMembers: async () => queue.flush(),
      close: async () => {},
    };
  },
};

const onRedis = (url: () => string): QueueHarness => ({
  async open(options) {
    const prefix = `test-${randomUUID()}`.slice(0, 32);
    const redis = openRedis(url(), recordingLog());
    const clock = await serverClock(redis, `${prefix}:{s00}:due`, async () => Date.now(), recordingLog());
    const queue = redisDueQueue(redis, { ...options, prefix, clock });
    const now = async () => {
      if (redis instanceof Cluster) return clock.now();
      const [seconds, micros] = await redis.time();
      return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
    };
    const lose = async () => {
      const keys = await Promise.all(serversOf(redis).map((server) => server.keys(`${prefix}:*`)));
      for (const key of keys.flat()) await redis.del(key);
    };
    await queue.setState('running');
    return {
      queue,
      now,
      async until(time) {
        while ((await now()) < time) await pause(5);
      },
      lose,
      loseMembers: async () => void (await redis.del(`${prefix}:{s00}:due`)),
      async close() {
        await lose();
        clock.close();
        redis.disconnect();
      },
    };
  },
});

let cluster: RedisCluster;
before(async () => {
  if (hasNativeRedis()) cluster = await startRedisCluster();
});
after(() => cluster?.stop());

for (const contract of [
  dueQueueContract,
  dueQueueLossesContract,
  dueQueueShardsContract,
  dueQueueTimersContract,
]) {
  contract('The queue in memory', inMemory);
  for (const { name, url } of redisServers())
    contract(
      `The queue on ${name}`,
      onRedis(() => url),
    );
  if (hasNativeRedis())
    contract(
      'The queue on a Redis Cluster',
      onRedis(() => cluster.url),
    );
}

const skip = !hasNativeRedis() && 'there is no redis-server';

test('in a Redis Cluster one clock decides what is due, not the clock of each node', { skip }, async () => {
  const redis = openRedis(cluster.url, recordingLog());
  const clock = manualClock(Date.now() + 3_600_000);
  const queue = redisDueQueue(redis, { prefix: 'test-clock', shards: 8, leaseMs: 5_000, clock });
  try {
    await until('the connection', () => redis.status === 'ready');
    await queue.setState('running');
    const soon = Array.from({ length: 50 }, (_, n) => ({
      orderId: `o${n}` as OrderId,
      dueAt: clock.now() + 1,
    }));
    const claimed = async () => {
      const claims = await Promise.all(Array.from({ length: 8 }, (_, shard) => queue.claim(shard, 100)));
      return claims.reduce((sum, { due }) => sum + due.length, 0);
    };
    await queue.schedule(soon);
    assert.deepEqual([await queue.size(), await claimed()], [{ waiting: 50, due: 0 }, 0]);
    clock.advance(1);
    assert.deepEqual([await queue.size(), await claimed()], [{ waiting: 50, due: 50 }, 50]);
  } finally {
    redis.disconnect();
  }
});

test('every operation of the queue fails with UNAVAILABLE while Redis is unreachable', async (t) => {
  const port = await portWithNobody();
  const redis = openRedis(`redis://127.0.0.1:${port}`, recordingLog());
  const queue = redisDueQueue(redis, { prefix: 'test-away', shards: 2, leaseMs: 1_000 });
  const orderId = 'one' as OrderId;
  try {
    const asked: Record<string, () => Promise<unknown>> = {
      schedule: () => queue.schedule([{ orderId, dueAt: 1 }]),
      remove: () => queue.remove([orderId]),
      claim: () => queue.claim(0, 10),
      acknowledge: () => queue.acknowledge(0, '1'),
      missing: () => queue.missing([{ orderId, dueAt: 1 }]),
      setState: () => queue.setState('paused', { ifComplete: true }),
      mark: () => queue.mark(),
      size: () => queue.size(),
    };
    for (const [what, ask] of Object.entries(asked))
      await t.test(what, {}, () => assert.rejects(ask, { name: 'TiffinError', code: 'UNAVAILABLE' }));
  } finally {
    redis.disconnect();
  }
});

async function portWithNobody(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
