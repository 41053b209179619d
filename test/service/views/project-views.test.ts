/** Tests of the projection of orders from a real Postgres into views in a real Redis. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Cluster, Redis } from 'ioredis';
import type pg from 'pg';
import type { Event } from '../../../internal/domain/events.ts';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresDeliveries } from '../../../internal/repository/postgres/delivery/deliveries.ts';
import { postgresOrderStore } from '../../../internal/repository/postgres/orders/order-store.ts';
import { postgresDeadLetters } from '../../../internal/repository/postgres/stream/dead-letters.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import { postgresViewSource } from '../../../internal/repository/postgres/views/view-source.ts';
import { openRedis } from '../../../internal/repository/redis/connection.ts';
import { redisOrderViews } from '../../../internal/repository/redis/order-views.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import type { OrderViews, ViewSource } from '../../../internal/service/views/ports.ts';
import { isNewer, viewOrder, viewsConsumer } from '../../../internal/service/views/project-views.ts';
import { createdEvent, movedTo, orderAt, placedOrder, processingEvent } from '../../support/builders.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { proxyTo, type ServerProxy } from '../../support/proxy.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';
import { freshDatabase, freshRedis } from '../../support/servers.ts';
import { until } from '../../support/until.ts';
import { viewOptions } from '../../support/view-options.ts';

describe('the projector of views', () => {
  let dropServers: () => Promise<unknown>;
  let pool: pg.Pool;
  let redis: Redis | Cluster;
  let proxy: ServerProxy;
  let viewSource: ViewSource;
  let views: OrderViews;
  let readings: number[] = [];

  before(async () => {
    const [database, cache] = await Promise.all([freshDatabase(), freshRedis()]);
    dropServers = () => Promise.all([database.drop(), cache.drop()]);
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 6, onError: () => {} });
    proxy = await proxyTo(cache.url);
    redis = openRedis(proxy.url, recordingLog());
    const options = viewOptions({ statusTtlS: 60 });
    views = redisOrderViews(redis, manualClock(), recordingLog(), options);
    const source = postgresViewSource(pool);
    viewSource = {
      read(ids) {
        readings.push(ids.length);
        return source.read(ids);
      },
    };
  });
  after(async () => {
    redis.disconnect();
    await Promise.all([proxy.close(), pool.end()]);
    await dropServers();
  });
  beforeEach(async () => {
    await Promise.all([
      pool.query(
        'TRUNCATE orders, events, deliveries, payments, reservations, dead_letters, processed_events',
      ),
      redis.flushdb(),
    ]);
    readings = [];
  });

  const deps = () => ({
    clock: manualClock(),
    viewSource,
    views,
    log: recordingLog(),
    meter: recordingMeter(),
    transactions: postgresTransactions(pool, () => {}),
    deadLetters: postgresDeadLetters(pool),
  });
  const deliver = (...events: Event[]) =>
    subscriptionOf(deps(), viewsConsumer(deps())).handle({
      deliveries: events.map((event) => deliveryOf(event, 'raw.order-events')),
      settle: async () => {},
    });
  const cached = (id: string) => views.get(id as OrderId);
  const named = (order: Order, id: string): Order => ({ ...order, id: id as OrderId });
  const write = (order: Order) => deps().transactions.run((tx) => tx.saveOrders([order]));

  async function placed(...ids: string[]): Promise<Order[]> {
    const orders = ids.map((id) => placedOrder({ content: { id, customerId: 'asha' } }));
    await postgresOrderStore(pool, () => {}).place(
      orders.map((order) => ({ order, event: createdEvent(order, randomUUID()), fingerprint: 'f' })),
    );
    return orders;
  }
  const pay = (id: string, state: string, version: number) =>
    pool.query(
      `INSERT INTO payments (order_id, currency, state, version, requested, requested_at, reason)
       VALUES ($1, 'USD', $2::text, $3, 1, now(), CASE WHEN $2::text = 'FAILED' THEN 'DECLINED' END)
       ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, version = excluded.version, reason = excluded.reason`,
      [id, state, version],
    );
  const carry = (id: string, state: 'REQUESTED' | 'ASSIGNED' | 'RELEASED', etaAt?: number) =>
    deps().transactions.run((tx) =>
      postgresDeliveries(pool).save(tx, [
        {
          orderId: id as OrderId,
          state,
          attempts: 0,
          requestedAt: NOON,
          ...(state === 'REQUESTED' ? {} : { riderId: 'ravi', assignedAt: NOON }),
          ...(etaAt === undefined ? {} : { eta: { median: NOON + 1, p90: NOON + 2, computedAt: etaAt } }),
        },
      ]),
    );

  it('the projector reads the orders of a batch with one query, and stores the current view of each', async () => {
    const [first] = await placed('a', 'b', 'c');
    await write(movedTo(first as Order, 'PROCESSING'));
    await deliver(...['a', 'a', 'b', 'nobody', 'a', 'c'].map((id) => processingEvent(id)));
    assert.deepEqual(readings, [4, 3], 'those of which none was stored are read again');
    assert.deepEqual(
      await Promise.all(['a', 'b', 'c', 'nobody'].map(async (id) => (await cached(id))?.order.status)),
      ['PROCESSING', 'CREATED', 'CREATED', undefined],
    );
  });

  it('the view becomes current when events are delivered five times, in any order, while the order changes', async () => {
    const steps = ['PROCESSING', 'CONFIRMED', 'ACCEPTED', 'PREPARING', 'RIDER_ASSIGNED'] as const;
    const shuffled = fc.shuffledSubarray([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], { minLength: 10 });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(shuffled, async (turns) => {
        runs += 1;
        const id = `moving-${runs}`;
        let [order] = (await placed(id)) as [Order];
        const deliveries: Promise<void>[] = [];
        for (const turn of turns) {
          const next = steps[order.version - 1];
          if (next && turn > 1) {
            order = movedTo(order, next);
            await write(order);
          }
          for (let times = 0; times < 5; times++) deliveries.push(deliver(processingEvent(id)));
        }
        await Promise.all(deliveries);
        assert.deepEqual((await cached(id))?.order, order);
        assert.equal(
          (await redis.lrange('customer:asha:last_orders', 0, -1)).filter((one) => one === id).length,
          1,
        );
      }),
      { numRuns: 10 },
    );
  });

  it('the view has the state of payment, reservation and delivery, and each change of them raises its revision', async () => {
    await placed('a');
    const revisions: (readonly [number, number])[] = [];
    const seen = async (change: () => Promise<unknown>) => {
      await change();
      await deliver(processingEvent('a'));
      const view = await cached('a');
      revisions.push(view!.revision);
      const { reservation, payment, delivery } = view!;
      return [reservation, payment, delivery?.state, delivery?.riderId, delivery?.eta?.computedAt];
    };
    const reserve = (state: string) =>
      pool.query(
        `INSERT INTO reservations (order_id, lines, state, released_at) VALUES ('a', '[]', $1::text, CASE WHEN $1::text = 'released' THEN now() END)
         ON CONFLICT (order_id) DO UPDATE SET state = excluded.state, released_at = excluded.released_at`,
        [state],
      );
    const none = undefined;
    assert.deepEqual(await seen(async () => {}), [none, none, none, none, none]);
    assert.deepEqual(await seen(() => reserve('reserved')), ['reserved', none, none, none, none]);
    assert.deepEqual(await seen(() => pay('a', 'PENDING', 1)), ['reserved', 'PENDING', none, none, none]);
    await seen(() => carry('a', 'REQUESTED'));
    await seen(() => carry('a', 'ASSIGNED', NOON));
    assert.deepEqual(await seen(() => carry('a', 'ASSIGNED', NOON + 5)), [
      ...['reserved', 'PENDING', 'ASSIGNED', 'ravi'],
      NOON + 5,
    ]);
    await seen(() => carry('a', 'RELEASED', NOON + 5));
    await seen(() => reserve('released'));
    assert.deepEqual(await seen(() => pay('a', 'FAILED', 2)), [
      ...['released', 'FAILED', 'RELEASED', 'ravi'],
      NOON + 5,
    ]);
    for (const [index, revision] of revisions.slice(1).entries())
      assert.ok(isNewer(revision, revisions[index]!), `${revisions[index]} → ${revision}`);
  });

  for (const [loss, lose] of [
    ['a flush', () => redis.flushdb()],
    ['an eviction', () => redis.del('order:a')],
  ] as const)
    it(`who read an order before another one stored a newer view, which ${loss} took, leaves the newer one`, async () => {
      const [order] = (await placed('a')) as [Order];
      let held = () => {};
      const isHeld = new Promise<void>((resolve) => {
        held = resolve;
      });
      let isFirst = true;
      const slow: ViewSource = {
        async read(ids) {
          const read = await viewSource.read(ids);
          if (isFirst) {
            isFirst = false;
            await isHeld;
          }
          return read;
        },
      };
      const late = viewOrder({ ...deps(), viewSource: slow }, 'a' as OrderId);
      await until('it has read', () => readings.length === 1);
      await write(movedTo(order, 'PROCESSING'));
      await deliver(processingEvent('a'));
      await lose();
      held();
      assert.equal((await late)?.order.status, 'CREATED');
      await until('the newer view', async () => (await cached('a'))?.order.status === 'PROCESSING');
    });

  it('a new status is stored although an earlier ETA came from a clock that was ahead', async () => {
    await placed('a');
    await write(named(orderAt('OUT_FOR_DELIVERY'), 'a'));
    await carry('a', 'ASSIGNED', NOON + 3_600_000);
    await deliver(processingEvent('a'));
    await write(named(orderAt('DELIVERED'), 'a'));
    await carry('a', 'ASSIGNED', NOON);
    await deliver(processingEvent('a'));
    assert.equal((await cached('a'))?.order.status, 'DELIVERED');
  });

  it('the projector rejects with UNAVAILABLE and adds no dead letters while Redis is unreachable, and continues afterwards', async () => {
    await placed('a');
    await proxy.cut();
    try {
      await assert.rejects(deliver(processingEvent('a')), { code: 'UNAVAILABLE' });
      assert.deepEqual(await deps().deadLetters.list({ limit: 1 }), []);
    } finally {
      await proxy.restore();
    }
    await until('the cache', () => redis.ping().catch(() => false));
    await deliver(processingEvent('a'));
    assert.equal((await cached('a'))?.order.id, 'a');
  });

  it('a reader of a missing view stores it again from Postgres, and a reader of a cached view makes no query', async () => {
    await placed('a');
    assert.equal((await viewOrder(deps(), 'a' as OrderId))?.order.id, 'a');
    await until('the second look', () => readings.length === 2);
    assert.deepEqual(await viewOrder(deps(), 'a' as OrderId), await cached('a'));
    assert.equal(readings.length, 2);
    assert.equal(await viewOrder(deps(), 'nobody' as OrderId), undefined);
  });

  it('a reader gets the order from Postgres while Redis is unreachable', async () => {
    await placed('a');
    await proxy.cut();
    try {
      for (let times = 0; times < 3; times++)
        assert.equal((await viewOrder(deps(), 'a' as OrderId))?.order.status, 'CREATED');
    } finally {
      await proxy.restore();
      await until('the cache', () => redis.ping().catch(() => false));
    }
  });
});
