/** A client of a Redis behind Sentinel whose attempts to connect are ended from outside. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { recordingLog } from '../support/recording-log.ts';
import { startSentinelRedis } from '../support/redis-sentinel.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

it('a client connects again although its attempt was ended while it asked the Sentinels, and not once it is closed', {
  skip: !hasNativeRedis() && 'there is no redis-server',
}, async (t) => {
  const servers = await startSentinelRedis();
  const redis = openRedis(servers.url, recordingLog());
  t.after(async () => {
    redis.disconnect();
    await servers.stop();
  });
  await until('the first connection', () => redis.status === 'ready');
  // As ioredis does when a Sentinel announces a new primary in the middle of an attempt.
  redis.once('connecting', () => redis.disconnect(true));
  redis.disconnect(true);
  await until('the end of the attempt', () => redis.status === 'end');
  await until('the next connection', () => redis.status === 'ready');
  assert.equal(await redis.set('after', 1), 'OK');
  redis.disconnect();
  await until('the end', () => redis.status === 'end');
  await pause(500);
  assert.equal(redis.status, 'end');
});
