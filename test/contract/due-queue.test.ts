/** Runs the due queue contracts against the queue in memory and the queue on each Redis. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { OrderId } from '../../internal/domain/order.ts';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { redisDueQueue } from '../../internal/repository/redis/due-queue.ts';
import { memoryQueue } from '../support/in-memory-queue.ts';
import { manualClock } from '../support/manual-clock.ts';
import { recordingLog } from '../support/recording-log.ts';
import { redisServers } from '../support/servers.ts';
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

const onRedis = (url: string): QueueHarness => ({
  async open(options) {
    const prefix = `test-${randomUUID()}`.slice(0, 32);
    const redis = new Redis(url);
    const queue = redisDueQueue(redis, { ...options, prefix });
    const now = async () => {
      const [seconds, micros] = await redis.time();
      return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
    };
    const lose = async () => {
      const keys = await redis.keys(`${prefix}:*`);
      if (keys.length > 0) await redis.del(...keys);
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
        redis.disconnect();
      },
    };
  },
});

for (const contract of [
  dueQueueContract,
  dueQueueLossesContract,
  dueQueueShardsContract,
  dueQueueTimersContract,
]) {
  contract('The queue in memory', inMemory);
  for (const { name, url } of redisServers()) contract(`The queue on ${name}`, onRedis(url));
}

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
