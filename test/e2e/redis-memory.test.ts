/** A Redis that is filling up: a figure and a warning before it is full, and views that leave room for the schedule. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { watchMemory } from '../../internal/repository/redis/memory.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { reaches, request, startProgram } from '../support/program.ts';
import { recordingLog } from '../support/recording-log.ts';
import { freshDatabase } from '../support/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

/** So much that what connections take is small beside it. */
const FILLER_BYTES = 64_000_000;

const skip = !hasNativeRedis() && 'there is no redis-server';

describe('the memory of a Redis', { skip }, () => {
  let redis: OwnRedis;

  before(async () => {
    redis = await startOwnRedis();
  });
  after(() => redis.stop());

  /** Sets the limit so that this share of it is used. */
  const useShare = async (share: number, policy = 'noeviction') => {
    await redis.call('CONFIG', 'SET', 'maxmemory', '0');
    await redis.call('CONFIG', 'SET', 'maxmemory-policy', policy);
    await redis.call('SETRANGE', 'filler', String(FILLER_BYTES), 'x');
    const used = Number(/used_memory:(\d+)/.exec(String(await redis.call('INFO', 'memory')))?.[1]);
    const limit = Math.round(used / share);
    await redis.call('CONFIG', 'SET', 'maxmemory', String(limit));
    return limit;
  };

  it('is nearly full if most of its limit is used and it does not evict', async () => {
    const client = openRedis(redis.url, recordingLog());
    const look = async () => {
      const log = recordingLog();
      const watch = watchMemory(client, log);
      const isNearlyFull = await watch.isNearlyFull();
      assert.equal(await watch.isNearlyFull(), isNearlyFull);
      return { isNearlyFull, warnings: log.at('warn').length };
    };
    try {
      assert.deepEqual(await look(), { isNearlyFull: false, warnings: 0 }, 'without a limit');
      await useShare(0.5);
      assert.deepEqual(await look(), { isNearlyFull: false, warnings: 0 });
      await useShare(0.85);
      assert.deepEqual(await look(), { isNearlyFull: false, warnings: 1 });
      await useShare(0.95);
      assert.deepEqual(await look(), { isNearlyFull: true, warnings: 1 });
      await useShare(0.95, 'volatile-lru');
      assert.deepEqual(await look(), { isNearlyFull: false, warnings: 0 }, 'it evicts');
    } finally {
      client.disconnect();
    }
  });

  it('is a figure on /metrics, and there is a warning before it is full while orders are still dispatched', async () => {
    const bytes = await useShare(0.93);
    const database = await freshDatabase();
    const program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url });
    try {
      await until('the warning', () =>
        program.log.find(({ level, msg }) => level === 'warn' && msg.startsWith('the memory of Redis is')),
      );
      const metrics = await (await fetch(`${program.url}/metrics`)).text();
      assert.match(metrics, new RegExp(`^tiffin_redis_memory_bytes{which="limit"} ${bytes}$`, 'm'));
      const figure = /^tiffin_redis_memory_bytes{which="used"} (\d+)$/m.exec(metrics)?.[1];
      assert.ok(Number(figure) > 0.9 * bytes, `used: ${figure}`);
      const order = { id: 'last', customer_name: 'Asha', total_price: 5 };
      assert.equal((await request('POST', `${program.url}/orders`, order)).status, 201);
      await reaches(program.url, 'last', 'COMPLETED');
      await until('its view to be stored briefly, or to have expired', async () => {
        const ttl = Number(await redis.call('TTL', 'order:last'));
        assert.notEqual(ttl, -1, 'the view must expire');
        return ttl <= 10;
      });
    } finally {
      await program.kill();
      await database.drop();
    }
  });
});
