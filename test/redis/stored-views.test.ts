/** The walk through the views on each Redis: every view once, none of others, and a history that ends with its server. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Cluster, Redis } from 'ioredis';
import type { OrderId } from '../../internal/domain/order.ts';
import { openRedis, serversOf } from '../../internal/repository/redis/connection.ts';
import { redisOrderViews } from '../../internal/repository/redis/order-views.ts';
import { redisStoredViews } from '../../internal/repository/redis/stored-views.ts';
import { viewComparer } from '../../internal/service/views/compare-views.ts';
import type { OrderView } from '../../internal/service/views/ports.ts';
import { placedOrder } from '../support/builders.ts';
import { manualClock } from '../support/manual-clock.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { recordingLog } from '../support/recording-log.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';
import { viewOptions } from '../support/view-options.ts';
import { type ViewServer, viewServers } from '../support/view-servers.ts';

const ORDERS = 1_200;
const clock = manualClock();
const options = viewOptions();
const ids = Array.from({ length: ORDERS }, (_, n) => `order:${n}` as OrderId);
const viewOf = (id: string, changes: number): OrderView => ({
  order: placedOrder({ content: { id } }),
  revision: [changes, 0],
});

for (const [name, start] of viewServers())
  describe(`the walk through the views on ${name}`, () => {
    let server: ViewServer;
    let redis: Redis | Cluster;

    before(async () => {
      server = await start();
      redis = openRedis(server.url, recordingLog());
      await until('the connection', () => redis.status === 'ready');
    });
    after(async () => {
      redis.disconnect();
      await server.drop();
    });
    beforeEach(() => Promise.all(serversOf(redis).map((one) => one.flushdb())));
    const views = (changes = {}) => redisOrderViews(redis, clock, recordingLog(), { ...options, ...changes });
    const stored = () => redisStoredViews(redis, options);

    it('of many views the old ones are replaced, the right ones are not written, and those without an order are removed', async () => {
      await views().put(ids.map((id) => viewOf(id, 1)));
      const old = ids.filter((_, n) => n % 4 === 0);
      const gone = ids.filter((_, n) => n % 4 === 1);
      const rows = new Map(ids.map((id) => [id, viewOf(id, 1)]));
      for (const id of old) rows.set(id, viewOf(id, 3));
      for (const id of gone) rows.delete(id);
      const put: string[] = [];
      const log = recordingLog();
      const round = viewComparer({
        storedViews: stored(),
        viewSource: { read: async (some) => some.flatMap((id) => rows.get(id) ?? []) },
        views: {
          ...views(),
          async put(some) {
            put.push(...some.map(({ order }) => order.id));
            return views().put(some);
          },
        },
        clock,
        log,
      });
      while ((await round()) === 0);
      assert.deepEqual([...new Set(put)].sort(), [...old].sort());
      const seen = await Promise.all(ids.map((id) => redis.get(`order:${id}`)));
      for (const [n, id] of ids.entries())
        assert.deepEqual(JSON.parse(seen[n] ?? '{}').revision, rows.get(id)?.revision, id);
      const ends = log.lines.filter(({ message }) => message.startsWith('the views in Redis are'));
      const sum = (what: string) => ends.reduce((total, { fields }) => total + Number(fields[what]), 0);
      assert.ok(sum('compared') >= ORDERS);
      assert.equal(sum('removed'), gone.length);
    });

    it('views of another database or prefix, and values of others, are left as they are', async () => {
      await views().put([viewOf('own', 1)]);
      await views({ databaseId: randomUUID() }).put([viewOf('elsewhere', 1)]);
      await views({ prefix: 'stage' }).put([viewOf('stage', 1)]);
      await redis.set('order:text', 'no view');
      await redis.lpush('order:list', 'no view');
      const found: string[] = [];
      const walk = stored();
      for (const history of await walk.histories()) {
        let cursor: string | undefined;
        do {
          const page = await walk.page(history, cursor);
          found.push(...page.versions.map(({ orderId }) => orderId));
          cursor = page.next;
        } while (cursor !== undefined);
      }
      assert.deepEqual([...new Set(found)], ['own']);
    });

    it('a view is removed only as long as it is the one that was looked at', async () => {
      await views().put([viewOf('a', 2)]);
      const orderId = 'a' as OrderId;
      assert.equal(await stored().remove({ orderId, revision: [1, 0] }), false);
      assert.equal((await views().get(orderId))?.revision[0], 2);
      assert.equal(await stored().remove({ orderId, revision: [2, 0] }), true);
      assert.equal(await views().get(orderId), undefined);
      assert.equal(await stored().remove({ orderId, revision: [2, 0] }), false);
    });

    it('a history counts as compared for every process', async () => {
      const histories = await stored().histories();
      assert.equal(histories.length, serversOf(redis).length);
      for (const history of histories) {
        assert.equal(await stored().isCompared(history), false);
        await stored().setCompared(history);
        assert.equal(await stored().isCompared(history), true);
      }
    });
  });

describe('the history of a Redis', { skip: !hasNativeRedis() && 'there is no redis-server' }, () => {
  it('is another one after a restart from a snapshot or the append-only file, and after a promotion; a replica has none', async () => {
    const [own, other] = await Promise.all([startOwnRedis('--appendonly', 'yes'), startOwnRedis()]);
    const redis = openRedis(own.url, recordingLog());
    const replica = openRedis(other.url, recordingLog());
    try {
      const historyOf = (one: Redis | Cluster) =>
        until('the history', async () => {
          const [history] = await redisStoredViews(one, options)
            .histories()
            .catch(() => []);
          return history;
        });
      const seen: string[] = [];
      for (const [server, client] of [
        [own, redis],
        [other, replica],
      ] as const) {
        seen.push(await historyOf(client));
        assert.equal(await historyOf(client), seen.at(-1));
        await server.call('SET', 'a', 'value');
        await server.call('SAVE');
        await server.kill();
        await server.start();
        seen.push(await historyOf(client));
      }
      await other.call('REPLICAOF', '127.0.0.1', new URL(own.url).port);
      await until('the replica', async () =>
        String(await other.call('INFO', 'replication')).includes('master_link_status:up'),
      );
      // The first replica may begin a history, too.
      seen.push(await historyOf(redis));
      await assert.rejects(redisStoredViews(replica, options).histories(), { code: 'UNAVAILABLE' });
      await other.call('REPLICAOF', 'NO', 'ONE');
      const promoted = await historyOf(replica);
      assert.equal(new Set(seen.slice(0, 4)).size, 4);
      assert.equal(seen.includes(promoted), false);
    } finally {
      redis.disconnect();
      replica.disconnect();
      await Promise.all([own.stop(), other.stop()]);
    }
  });
});
