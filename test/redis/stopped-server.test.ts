/** A due queue whose Redis is stopped while a claim is on its way: it runs what it received as soon as it goes on. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { redisDueQueue } from '../../internal/repository/redis/due-queue.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { recordingLog } from '../support/recording-log.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

it('a claim whose process has given it up claims nothing, so that what is due need not wait for the end of a lease', {
  skip: !hasNativeRedis() && 'there is no redis-server',
}, async (t) => {
  const server = await startOwnRedis();
  const redis = openRedis(server.url, recordingLog());
  t.after(async () => {
    redis.disconnect();
    await server.stop();
  });
  await until('the connection', () => redis.status === 'ready');
  const queue = redisDueQueue(redis, { prefix: 'tiffin', shards: 1, leaseMs: 600_000 });
  await queue.setState('running');
  const order = { orderId: 'a' as OrderId, dueAt: Date.now() - 1_000 };
  await queue.claim(0, 10);
  await queue.schedule([order]);
  /** Every claim counts as a write of its process. */
  const marks = async () =>
    String(await server.call('ZRANGE', 'tiffin:{s00}:due', '9e15', '+inf', 'BYSCORE', 'WITHSCORES'));
  const before = await marks();

  server.freeze();
  await assert.rejects(queue.claim(0, 10), { code: 'UNAVAILABLE' });
  server.thaw();

  await until('the connection after it', () => redis.status === 'ready');
  await until('the claim to run', async () => (await marks()) !== before);
  assert.deepEqual((await queue.claim(0, 10)).due, [order]);
});
