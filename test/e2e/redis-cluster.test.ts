/** A Redis Cluster: when a primary is lost or a slot is moved, every order still leaves once, and in time afterwards. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Cluster } from 'ioredis';
import { openRedis } from '../../internal/repository/redis/connection.ts';
import { assertCompletedOnce } from '../support/once.ts';
import type { OwnRedis } from '../support/own-redis.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { recordingLog } from '../support/recording-log.ts';
import { keysOf, type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { freshDatabase } from '../support/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

const SHARDS = 6;
const FAILOVER_MS = 20_000;
const ORDERS = 60;
const FIRST = 'tiffin:{s00}:due';

describe('a Redis Cluster', { skip: !hasNativeRedis() && 'there is no redis-server' }, () => {
  let redis: RedisCluster;
  let program: Program;
  let database: Awaited<ReturnType<typeof freshDatabase>>;

  before(async () => {
    redis = await startRedisCluster();
  });
  after(() => redis.stop());
  beforeEach(async () => {
    database = await freshDatabase();
    program = await startProgram({
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      SCHEDULE_SHARDS: String(SHARDS),
    });
    await until('the first rebuild', () => program.log.find(({ msg }) => msg === 'the schedule is complete'));
  });
  afterEach(async () => {
    await program.kill();
    await database.drop();
  });

  const ids = Array.from({ length: ORDERS }, (_, n) => `order-${n}`);
  const place = async (id: string, inMs: number) => {
    const scheduled_time = new Date(Date.now() + inMs).toISOString();
    const body = { id, customer_name: 'Asha', total_price: 5, scheduled_time };
    assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
  };
  const isReady = async () => (await request('GET', `${program.url}/readyz`)).status === 200;

  async function assertAllCompletedOnce(placed: readonly string[]): Promise<void> {
    await Promise.all(placed.map((id) => reaches(program.url, id, 'COMPLETED')));
    await assertCompletedOnce(database.url, placed);
    assert.deepEqual((await request('GET', `${program.url}/admin/dlq`)).body.deadLetters, []);
    assert.deepEqual(
      program.log.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    );
  }

  it('orders are scheduled on every primary, dispatched in time, and shown under the keys of external readers', async () => {
    const customer = {
      customerId: 'asha',
      currency: 'USD',
      items: [{ itemId: 'sushi-set', quantity: 1, unitPrice: 5 }],
    };
    const shown = (await request('POST', `${program.url}/orders`, customer)).body.orderId as string;
    await Promise.all(ids.map((id) => place(id, 3_600_000)));
    const reader = openRedis(redis.url, recordingLog()) as Cluster;
    try {
      await until('the connection', () => reader.status === 'ready');
      await until('the view', async () => (await reader.get(`order:${shown}`))?.includes('"view"'));
      await until(
        'the list',
        async () => (await reader.lrange('customer:asha:last_orders', 0, -1))[0] === shown,
      );
      const { status } = JSON.parse((await reader.get(`order_status:${shown}`)) ?? '{}');
      assert.ok(['PROCESSING', 'CONFIRMED'].includes(status), status);
      await until('the queue', async () => {
        const keys = await keysOf(reader, 'tiffin:{s*}:due');
        const sizes = await Promise.all(keys.map((key) => reader.zcount(key, '-inf', '(9e15')));
        return keys.length === SHARDS && sizes.reduce((a, b) => a + b) >= ORDERS;
      });
      const holders = await Promise.all(reader.nodes('master').map((node) => node.keys('tiffin:{s*}:due')));
      assert.ok(
        holders.every((keys) => keys.length > 0),
        'a primary has no shard',
      );
      const moved = await request('PATCH', `${program.url}/v1/orders/order-7/schedule`, {
        scheduledAt: new Date(Date.now() + 500).toISOString(),
      });
      assert.equal(moved.status, 200);
      await reaches(program.url, 'order-7', 'COMPLETED');
    } finally {
      reader.disconnect();
    }
  });

  it('orders that are due while the slot of their shard is moved all complete once', async () => {
    const placed = [...ids];
    await Promise.all(ids.map((id, n) => place(id, 500 + n * 50)));
    const from = await redis.primaryOf(FIRST);
    await redis.moveSlot(FIRST, async () => {
      const id = `moving-${placed.length}`;
      placed.push(id);
      await place(id, 100);
      await new Promise((resolve) => setTimeout(resolve, 300));
    });
    // The other nodes hear of it a little later.
    await until('another primary', async () => (await redis.primaryOf(FIRST)) !== from);
    await assertAllCompletedOnce(placed);
  });

  const losses: Readonly<Record<string, (primary: OwnRedis) => Promise<void> | void>> = {
    'that is killed': (primary) => primary.kill(),
    'that falls silent': (primary) => primary.freeze(),
  };
  for (const [what, end] of Object.entries(losses))
    it(`orders that are due around the loss of a primary ${what} all complete once`, async (t) => {
      await Promise.all(ids.map((id, n) => place(id, 1_000 + n * 100)));
      const primary = await redis.primaryOf(FIRST);
      const started = performance.now();
      const passed = () => `${((performance.now() - started) / 1_000).toFixed(1)} s`;
      await end(primary);
      const isReplaced = async () => (await redis.primaryOf(FIRST).catch(() => primary)) !== primary;
      await until('another primary', isReplaced, FAILOVER_MS);
      const replaced = passed();
      await until('readiness', isReady, 10_000);
      const ready = passed();
      await place('after', 0);
      await assertAllCompletedOnce([...ids, 'after']);
      t.diagnostic(
        `primary replaced after ${replaced}, ready after ${ready}, all completed after ${passed()}`,
      );
      await primary.kill();
      await primary.start();
      await until('the lost server to be a replica', async () =>
        String(await primary.call('INFO', 'replication')).includes('master_link_status:up'),
      );
    });
});
