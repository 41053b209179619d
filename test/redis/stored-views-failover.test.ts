/** A Redis Cluster whose replica is promoted: the views of that primary are compared with their orders, the others are not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { redisOrderViews } from '../../internal/repository/redis/order-views.ts';
import { redisStoredViews } from '../../internal/repository/redis/stored-views.ts';
import { viewComparer } from '../../internal/service/views/compare-views.ts';
import type { OrderView } from '../../internal/service/views/ports.ts';
import { placedOrder } from '../support/builders.ts';
import { manualClock } from '../support/manual-clock.ts';
import { recordingLog } from '../support/recording-log.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';
import { viewOptions } from '../support/view-options.ts';

const ORDERS = 90;
const FAILOVER_MS = 20_000;
const ids = Array.from({ length: ORDERS }, (_, n) => `order-${n}` as OrderId);
const viewOf = (id: OrderId, changes: number): OrderView => ({
  order: placedOrder({ content: { id } }),
  revision: [changes, 0],
});

const skip = !hasNativeRedis() && 'there is no redis-server';

test('after a replica was promoted, the old views that it has become those of their orders', {
  skip,
}, async () => {
  const cluster = await startRedisCluster();
  const redis = openRedis(cluster.url, recordingLog());
  try {
    await until('the connection', () => redis.status === 'ready');
    const options = viewOptions();
    const views = redisOrderViews(redis, manualClock(), recordingLog(), options);
    const log = recordingLog();
    const round = viewComparer({
      storedViews: redisStoredViews(redis, options),
      viewSource: { read: async (some) => some.map((id) => viewOf(id, 2)) },
      views,
      clock: manualClock(),
      log,
    });
    await views.put(ids.map((id) => viewOf(id, 2)));
    while ((await round()) === 0);
    const before = log.lines.length;

    const old = ids[0] as OrderId;
    const key = `order:${old}`;
    await redis.del(key);
    await views.put([viewOf(old, 1)]);
    const primary = await cluster.primaryOf(key);
    const { port } = new URL(primary.url);
    const roles = await Promise.all(cluster.nodes.map((node) => node.call('ROLE')));
    const replica = cluster.nodes.find((_, n) => {
      const [role, , itsPort] = roles[n] as [string, string, number];
      return role === 'slave' && String(itsPort) === port;
    });
    assert.ok(replica, 'the primary has a replica');
    await replica.call('READONLY');
    await until('the replica to have the old view', async () =>
      String(await replica.call('GET', key)).startsWith('{"revision":[1,'),
    );
    // Without a vote, which a busy machine may not hold in time.
    await replica.call('CLUSTER', 'FAILOVER', 'TAKEOVER');
    await until('the promotion', async () => (await cluster.primaryOf(key)) === replica, FAILOVER_MS);
    await until(
      'the view to be current',
      async () => {
        await round().catch(() => {});
        const text = await redis.get(key).catch(() => undefined);
        return JSON.parse(text ?? '{}').revision?.[0] === 2;
      },
      FAILOVER_MS,
    );
    while ((await round()) === 0);
    const ends = log.lines.slice(before).filter(({ fields }) => 'compared' in fields);
    assert.deepEqual(
      ends.map(({ fields }) => [fields.replaced, Number(fields.compared) < ORDERS]),
      [[1, true]],
    );
  } finally {
    redis.disconnect();
    await cluster.stop();
  }
});
