/** The order views on each Redis: the contents of each key, revisions that never go back, and notified listeners. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { Cluster, type Redis } from 'ioredis';
import type { Order } from '../../internal/domain/order.ts';
import { toRfc3339 } from '../../internal/domain/schedule.ts';
import { openRedis, serversOf } from '../../internal/repository/redis/connection.ts';
import { redisListener } from '../../internal/repository/redis/listener.ts';
import { redisOrderViews } from '../../internal/repository/redis/order-views.ts';
import type { OrderView, Revision } from '../../internal/service/views/ports.ts';
import { isNewer } from '../../internal/service/views/project-views.ts';
import { CONTENTS, movedTo, nextId, orderAt, placedOrder } from '../support/builders.ts';
import { manualClock, NOON } from '../support/manual-clock.ts';
import { proxyTo } from '../support/proxy.ts';
import { recordingLog } from '../support/recording-log.ts';
import { until } from '../support/until.ts';
import { viewOptions } from '../support/view-options.ts';
import { CLUSTER, type ViewServer, viewServers } from '../support/view-servers.ts';

const viewOf = (order: Order, changes: Partial<OrderView> = {}): OrderView => ({
  order,
  revision: [order.version, 0],
  ...changes,
});
const placedBy = (customerId: string, at = NOON) =>
  placedOrder({ content: { id: nextId('order'), customerId }, at });

for (const [name, start] of viewServers())
  describe(`the order views on ${name}`, () => {
    let server: ViewServer;
    let redis: Redis | Cluster;
    const clock = manualClock();
    const channel = `test-${randomUUID()}`;
    const options = viewOptions({ channel });
    const views = () => redisOrderViews(redis, clock, recordingLog(), options);
    const last = (customerId: string) => redis.lrange(`customer:${customerId}:last_orders`, 0, -1);

    before(async () => {
      server = await start();
      redis = openRedis(server.url, recordingLog());
      await until('the connection', () => redis.status === 'ready');
    });
    after(async () => {
      redis.disconnect();
      await server.drop();
    });
    const everywhere = <T>(ask: (one: Redis) => Promise<T>) => Promise.all(serversOf(redis).map(ask));
    const keys = async (pattern: string) => (await everywhere((one) => one.keys(pattern))).flat().sort();
    beforeEach(() => everywhere((one) => one.flushdb()));

    it('a snapshot holds the plain food ordering fields for external readers', async () => {
      const order = orderAt('OUT_FOR_DELIVERY');
      const eta = { median: NOON + 900_000, p90: NOON + 1_200_000, computedAt: NOON };
      await views().put([viewOf(order, { delivery: { state: 'PICKED_UP', riderId: 'ravi', eta } })]);
      const {
        revision: _,
        origin: __,
        view: ___,
        ...plain
      } = JSON.parse((await redis.get(`order:${order.id}`)) ?? '');
      assert.deepEqual(plain, {
        orderId: order.id,
        restaurantId: 'r1',
        status: 'PICKED_UP',
        version: order.version,
        updatedAt: toRfc3339(order.updatedAt),
        timeline: ['PLACED', 'ACCEPTED', 'RIDER_ASSIGNED', 'PICKED_UP'].map((status) => ({
          status,
          at: toRfc3339(NOON),
        })),
        eta: toRfc3339(eta.median),
      });
    });

    it('a status key holds the status and the price in the terms of the order manager', async () => {
      const price = { baseMinor: 6_000, discountMinor: 600, feesMinor: 500, finalMinor: 5_900 };
      const content = { ...CONTENTS.items, price, total: { minor: 5_900, currency: 'USD' } };
      const order = movedTo(placedOrder({ content }), 'PROCESSING', 'CONFIRMED', 'COMPLETED');
      const failed = orderAt('FAILED', 'items');
      await views().put([viewOf(order), viewOf({ ...failed, id: 'failed' as Order['id'] })]);
      const status = async (id: string) => JSON.parse((await redis.get(`order_status:${id}`)) ?? 'null');
      assert.deepEqual(await status(order.id), {
        status: 'CONFIRMED',
        details: {
          status: 'COMPLETED',
          final_total: 59,
          base_total: 60,
          discount_applied: 6,
          fees_applied: 5,
        },
      });
      assert.deepEqual(await status('failed'), {
        status: 'FAILED',
        details: { status: 'FAILED', reason: 'NO_STOCK', final_total: 12.5 },
      });
    });

    it('the snapshot of an order that has not ended never expires, a status expires in an hour, and the list of a customer in a day', async () => {
      const order = placedBy('asha');
      await views().put([viewOf(order)]);
      const ttl = (key: string) => redis.ttl(key);
      assert.equal(await ttl(`order:${order.id}`), -1);
      const [status, list] = await Promise.all([
        ttl(`order_status:${order.id}`),
        ttl('customer:asha:last_orders'),
      ]);
      assert.ok(status > 3_500 && status <= 3_600, String(status));
      assert.ok(list > 86_300 && list <= 86_400, String(list));
    });

    it('the snapshot of an order that has ended expires, and stays if no expiry is set', async () => {
      const ended = ['DELIVERED', 'FAILED', 'CANCELLED'] as const;
      for (const status of ended) {
        const order = orderAt(status);
        await views().put([viewOf(order)]);
        const ttl = await redis.ttl(`order:${order.id}`);
        assert.ok(ttl > 7_100 && ttl <= 7_200, `${status}: ${ttl}`);
        await redis.del(`order:${order.id}`);
        await redisOrderViews(redis, clock, recordingLog(), { ...options, endedTtlS: 0 }).put([
          viewOf(order),
        ]);
        assert.equal(await redis.ttl(`order:${order.id}`), -1);
      }
    });

    it('while the memory of Redis is nearly full, every snapshot expires after seconds', async () => {
      const order = placedBy('asha');
      const full = redisOrderViews(redis, clock, recordingLog(), {
        ...options,
        isNearlyFull: async () => true,
      });
      await full.put([viewOf(order)]);
      const ttl = await redis.ttl(`order:${order.id}`);
      assert.ok(ttl > 0 && ttl <= 10, String(ttl));
    });

    it('neither the payment token nor the contact of a customer is stored in Redis', async () => {
      const content = {
        ...CONTENTS.items,
        contact: { name: 'Asha', phone: '+912255501' },
        paymentToken: 'tok_1',
      };
      const order = placedOrder({ content: { ...content, id: nextId('order') } });
      await views().put([viewOf(order)]);
      const stored = await Promise.all((await keys('order*')).map((key) => redis.get(key)));
      assert.equal(stored.length, 2);
      for (const text of stored) assert.doesNotMatch(text ?? '', /tok_1|2255501|paymentToken|phone/);
      assert.equal((await views().get(order.id))?.order.id, order.id);
    });

    it('an installation with a prefix of its own neither reads nor replaces the views of another', async () => {
      const order = placedBy('asha');
      const stage = redisOrderViews(redis, clock, recordingLog(), { ...options, prefix: 'stage' });
      await views().put([viewOf(movedTo(order, 'PROCESSING'))]);
      assert.equal(await stage.get(order.id), undefined);
      await stage.put([viewOf(order)]);
      assert.equal((await stage.get(order.id))?.order.status, 'CREATED');
      assert.equal((await views().get(order.id))?.order.status, 'PROCESSING');
      const all = await keys('*');
      const revisions = all.filter((key) => key.endsWith(':revision'));
      const status = `order_status:${order.id}`;
      assert.deepEqual(
        revisions,
        name === CLUSTER ? [`stage:{stage:${status}}:revision`, `tiffin:{${status}}:revision`] : [],
      );
      assert.deepEqual(
        all.filter((key) => !revisions.includes(key)),
        [
          'customer:asha:last_orders',
          `order:${order.id}`,
          `order_status:${order.id}`,
          'stage:customer:asha:last_orders',
          `stage:order:${order.id}`,
          `stage:order_status:${order.id}`,
        ],
      );
    });

    it('a view of another database is a miss and is replaced, whatever its revision', async () => {
      const order = placedBy('asha');
      const earlier = redisOrderViews(redis, clock, recordingLog(), { ...options, databaseId: randomUUID() });
      await earlier.put([viewOf(movedTo(order, 'PROCESSING'), { revision: [9, NOON] })]);
      assert.equal(await views().get(order.id), undefined);
      await views().put([viewOf(order)]);
      assert.deepEqual(await views().get(order.id), viewOf(order));
      assert.equal(JSON.parse((await redis.get(`order_status:${order.id}`)) ?? '').details.status, 'CREATED');
    });

    it('a newer view is never replaced by an older one, in any sequence and grouping of writes', async () => {
      const revision = fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 4 }));
      const puts = fc.array(fc.array(revision, { minLength: 1, maxLength: 5 }), {
        minLength: 1,
        maxLength: 6,
      });
      await fc.assert(
        fc.asyncProperty(puts, async (batches) => {
          const order = placedBy('asha');
          const made = (revision: Revision) =>
            viewOf({ ...order, updatedAt: NOON + revision[0] }, { revision });
          await Promise.all(batches.map((batch) => views().put(batch.map(made))));
          const newest = batches.flat().reduce((best, one) => (isNewer(one, best) ? one : best));
          assert.deepEqual(await views().get(order.id), made(newest));
          assert.equal((await last('asha')).filter((id) => id === order.id).length, 1);
        }),
        { numRuns: 60 },
      );
    });

    it('the list of a customer holds the last twenty orders, newest first and each once', async () => {
      const orders = Array.from({ length: 25 }, () => placedBy('asha'));
      for (const order of orders) await views().put([viewOf(order)]);
      await views().put(orders.map((order) => viewOf(movedTo(order, 'PROCESSING'))));
      const newest = orders.map(({ id }) => id).reverse();
      assert.deepEqual(await last('asha'), newest.slice(0, 20));
      assert.deepEqual(await last('ben'), []);
    });

    it('an order from yesterday, or one whose snapshot was evicted, is not listed as new', async () => {
      const [first, second] = [placedBy('asha'), placedBy('asha')];
      await views().put([viewOf(first), viewOf(second)]);
      await redis.del(`order:${first.id}`);
      await views().put([viewOf(first), viewOf(placedBy('asha', NOON - 86_400_000))]);
      assert.deepEqual(await last('asha'), [second.id, first.id]);
    });

    it('an external value under the key of a snapshot is a miss and is replaced', async () => {
      const order = placedBy('asha');
      const texts = [
        ...['no JSON', 'null', '7', '[]', '""', '{}', '{"orderId":"x"}', '{"revision":[1]}', '{"view":{}}'],
        '{"revision":[99,0],"view":{}}',
        `{"revision":[99,0],"origin":"elsewhere","view":{"order":{"id":"${order.id}"}}}`,
        '{"view":{"order":null},"origin":{"toString":1}}',
      ];
      const key = `order:${order.id}`;
      const writes = [
        ...texts.map((text) => () => redis.set(key, text)),
        () => redis.lpush(key, 'a list'),
        () => redis.hset(key, 'a', 'hash'),
      ];
      for (const [n, write] of writes.entries()) {
        await redis.del(key);
        await write();
        assert.equal(await views().get(order.id), undefined, `value ${n}`);
        await views().put([viewOf(order)]);
        assert.deepEqual(await views().get(order.id), viewOf(order), `value ${n}`);
      }
      await redis.set('customer:asha:last_orders', 'no list');
      await redis.del(key);
      await views().put([viewOf(order)]);
      assert.deepEqual(await last('asha'), [order.id]);
    });

    it('a view is stored after the server has lost its cached scripts', async () => {
      const order = placedBy('asha');
      await views().put([viewOf(order)]);
      await everywhere((one) => one.script('FLUSH'));
      await views().put([viewOf(movedTo(order, 'PROCESSING'))]);
      assert.equal((await views().get(order.id))?.order.status, 'PROCESSING');
    });

    it('a listener of an order is notified of each stored change, and not of a refused one', async () => {
      const listener = redisListener(redis, channel);
      const order = placedBy('asha');
      const heard: string[] = [];
      const deaf = listener.listen(order.id, () => heard.push('deaf'));
      listener.listen(order.id, () => heard.push('a'));
      const ears = async () => {
        const nodes = redis instanceof Cluster ? redis.nodes() : [redis];
        const counts = await Promise.all(nodes.map((node) => node.pubsub('NUMSUB', channel)));
        return counts.reduce((sum, [, count]) => sum + Number(count), 0) === 1;
      };
      try {
        await until('the subscription', ears);
        // The first connection notifies every listener.
        await until('both listeners to be notified', () => heard.includes('deaf') && heard.includes('a'));
        deaf();
        heard.length = 0;
        await views().put([viewOf(placedBy('ben')), viewOf(order)]);
        await views().put([viewOf(order)]);
        await views().put([viewOf(movedTo(order, 'PROCESSING'))]);
        await until('both changes', () => heard.length >= 2);
        assert.deepEqual(heard, ['a', 'a']);
      } finally {
        listener.close();
      }
    });

    it('the status belongs to the newest view, in any sequence of concurrent writes', async () => {
      const other = openRedis(server.url, recordingLog());
      await until('the connection', () => other.status === 'ready');
      const writers = [views(), redisOrderViews(other, clock, recordingLog(), options)];
      try {
        for (let round = 0; round < 30; round++) {
          const placed = placedBy('asha');
          const all = [placed, movedTo(placed, 'PROCESSING'), movedTo(placed, 'PROCESSING', 'CONFIRMED')];
          const shuffled = all.map((order) => viewOf(order)).sort(() => Math.random() - 0.5);
          await Promise.all(shuffled.map((view, n) => writers[n % 2]?.put([view])));
          const { status } = JSON.parse((await redis.get(`order_status:${placed.id}`)) ?? '');
          assert.equal(status, 'CONFIRMED');
        }
      } finally {
        other.disconnect();
      }
    });

    if (name === CLUSTER) {
      it('a view whose writer died between any two steps is completed by the next attempt', async () => {
        for (const step of ['listOrder', 'putStatus', 'putSnapshot']) {
          const order = placedBy(step);
          const dying = openRedis(server.url, recordingLog());
          try {
            await until('the connection', () => dying.status === 'ready');
            const cut = redisOrderViews(dying, clock, recordingLog(), options);
            Object.assign(dying, { [step]: () => Promise.reject(new Error('the process died')) });
            await assert.rejects(cut.put([viewOf(order)]), { code: 'UNAVAILABLE' });
          } finally {
            dying.disconnect();
          }
          assert.equal(await views().get(order.id), undefined, step);
          await views().put([viewOf(order)]);
          assert.deepEqual(await views().get(order.id), viewOf(order), step);
          assert.deepEqual(await last(step), [order.id], step);
          assert.ok(await redis.get(`order_status:${order.id}`), step);
        }
      });
      return;
    }

    it('every listener is notified after the connection was lost and restored', async () => {
      const proxy = await proxyTo(server.url);
      const cut = openRedis(proxy.url, recordingLog());
      const listener = redisListener(cut, channel);
      let told = 0;
      try {
        listener.listen('o' as Order['id'], () => {
          told += 1;
        });
        await until('the first connection', () => told > 0);
        await proxy.cut();
        const before = told;
        await proxy.restore();
        await until('a second notification', () => told > before);
      } finally {
        listener.close();
        cut.disconnect();
        await proxy.close();
      }
    });

    it('a read is a miss while Redis is down, and does not ask it, with one warning per outage; a write is UNAVAILABLE', async (t) => {
      const proxy = await proxyTo(server.url);
      const log = recordingLog();
      const cut = openRedis(proxy.url, recordingLog());
      const away = redisOrderViews(cut, clock, log, options);
      const order = placedBy('asha');
      const warnings = () => log.at('warn').length;
      try {
        await away.put([viewOf(order)]);
        await proxy.cut();
        await until('the outage to be known', () => cut.status !== 'ready');
        const asked = t.mock.method(cut, 'get');
        for (let times = 0; times < 3; times++) assert.equal(await away.get(order.id), undefined);
        assert.deepEqual([warnings(), asked.mock.callCount()], [1, 0]);
        await assert.rejects(away.put([viewOf(order)]), { code: 'UNAVAILABLE' });
        await proxy.restore();
        await until('the view', () => away.get(order.id));
        assert.equal(warnings(), 1);
        await proxy.cut();
        await away.get(order.id);
        assert.equal(warnings(), 2, 'the next outage is logged too');
      } finally {
        cut.disconnect();
        await proxy.close();
      }
    });
  });
