/** Installations that share a Redis, and a Redis that outlives its database: each shows its own orders only. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

describe('a Redis with views of several databases', () => {
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let direct: Redis;
  const databases: Awaited<ReturnType<typeof freshDatabase>>[] = [];
  const running = new Set<Program>();

  beforeEach(async () => {
    redis = await freshRedis();
    direct = new Redis(redis.url);
  });
  afterEach(async () => {
    await Promise.all([...running].map((program) => program.kill()));
    running.clear();
    direct.disconnect();
    await Promise.all([redis.drop(), ...databases.splice(0).map((database) => database.drop())]);
  });

  /** A program on a database of its own. */
  async function start(env: Record<string, string> = {}): Promise<Program> {
    const database = await freshDatabase();
    databases.push(database);
    const program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url, ...env });
    running.add(program);
    return program;
  }
  const place = async (program: Program, total_price: number) => {
    const body = { id: 'same', customer_name: 'Asha', total_price };
    assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
    await reaches(program.url, 'same', 'COMPLETED');
  };
  /** The views of such an order include a list of the customer's. */
  const placeForCustomer = async (program: Program) => {
    const items = [{ itemId: 'PIZZA-001', quantity: 1, unitPrice: 5 }];
    const body = { id: 'asha-1', customerId: 'asha', items };
    assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
  };
  const isStored = (key: string) =>
    until(`${key} to be stored`, async () => (await direct.get(key))?.includes('"COMPLETED"'));
  const shownTotal = async ({ url }: Program) =>
    (await request('GET', `${url}/ui/orders/same`)).body.totalAmount;

  it('two installations with prefixes of their own share no key and no channel, and show only their own orders', async () => {
    const limited = { RATE_LIMIT: '1000' };
    const [prod, stage] = await Promise.all([start(limited), start({ ...limited, REDIS_PREFIX: 'stage' })]);
    await place(prod, 7);
    await placeForCustomer(prod);
    await isStored('order:same');
    assert.equal((await request('GET', `${stage.url}/ui/orders/same`)).status, 404);
    const subscriber = direct.duplicate();
    const announced = new Set<string>();
    subscriber.on('message', (channel, id) => announced.add(`${channel} ${id}`));
    await subscriber.subscribe('stage:order-views', 'stage:rider-moves');
    await place(stage, 8);
    await placeForCustomer(stage);
    const rider = { name: 'Ravi', onDuty: false, capacity: 1, location: { lat: 18.97, lng: 72.81 } };
    assert.equal((await request('PUT', `${stage.url}/v1/riders/ravi`, rider)).status, 200);
    await isStored('stage:order:same');
    const changes = ['stage:order-views same', 'stage:rider-moves ravi'];
    await until('both changes to be announced', () => changes.every((each) => announced.has(each)));
    subscriber.disconnect();
    for (const { url } of [prod, stage]) assert.equal((await request('GET', `${url}/readyz`)).status, 200);
    assert.deepEqual([await shownTotal(prod), await shownTotal(stage)], [7, 8]);
    // Both have done the same, so every kind of key that one has the other has, too, with its own prefix.
    const kinds = async () => {
      const keys = await direct.keys('*');
      const isStage = (key: string) => key.startsWith('stage:');
      const own = (key: string) => key.replace(/^(stage|tiffin):/, '');
      const [of, others] = [keys.filter(isStage), keys.filter((key) => !isStage(key))];
      return [of.map(own).sort(), others.map(own).sort()] as const;
    };
    const expected = [
      /^order:/,
      /^order_status:/,
      /^customer:asha:/,
      /^rate:/,
      /^probe$/,
      /^views-compared:/,
      /:due$/,
    ];
    let found = await kinds();
    await until('the keys of both', async () => {
      found = await kinds();
      return (
        String(found[0]) === String(found[1]) &&
        expected.every((kind) => found[0].some((key) => kind.test(key)))
      );
    }).catch(() => {});
    assert.deepEqual(found[0], found[1]);
    for (const kind of expected)
      assert.ok(
        found[0].some((key) => kind.test(key)),
        String(kind),
      );
  });

  it('after the database was replaced, an order with the id of an earlier one is shown as it is now', async () => {
    const first = await start();
    await place(first, 7);
    await isStored('order:same');
    running.delete(first);
    await first.kill();
    const second = await start();
    assert.equal((await request('GET', `${second.url}/ui/orders/same`)).status, 404);
    const scheduled_time = new Date(Date.now() + 3_600_000).toISOString();
    const body = { id: 'same', customer_name: 'Ben', total_price: 8, scheduled_time };
    assert.equal((await request('POST', `${second.url}/orders`, body)).status, 201);
    assert.equal(await shownTotal(second), 8);
    await until('the new view to be stored', async () => {
      const { view } = JSON.parse((await direct.get('order:same')) ?? '{}');
      return view?.order.total.minor === 800;
    });
  });

  it('views of ended orders expire beside the schedule, and never in a cache Redis of their own', async () => {
    const cache = await freshRedis();
    const own = new Redis(cache.url);
    try {
      const [shared, apart] = await Promise.all([
        start({ VIEW_TTL_S: '5000', ORDER_STATUS_TTL_S: '4000' }),
        start({ REDIS_PREFIX: 'stage', CACHE_REDIS_URL: cache.url }),
      ]);
      await Promise.all([place(shared, 7), place(apart, 8)]);
      await isStored('order:same');
      const ttl = await direct.ttl('order:same');
      assert.ok(ttl > 4_900 && ttl <= 5_000, String(ttl));
      const statusTtl = await direct.ttl('order_status:same');
      assert.ok(statusTtl > 3_900 && statusTtl <= 4_000, String(statusTtl));
      await until('the view to be stored', async () =>
        (await own.get('stage:order:same'))?.includes('"COMPLETED"'),
      );
      assert.equal(await own.ttl('stage:order:same'), -1);
    } finally {
      own.disconnect();
      await cache.drop();
    }
  });

  it('foreign content under the key of an order is ignored and replaced', async () => {
    const program = await start();
    await place(program, 7);
    await isStored('order:same');
    for (const foreign of ['{"view":{}}', '{"revision":[99,0],"view":{}}', 'no JSON']) {
      await direct.set('order:same', foreign);
      for (const path of ['/ui/orders/same', '/v1/orders/same', '/orders?id=same']) {
        const answer = await request('GET', program.url + path);
        assert.equal(answer.status, 200, `${path} with ${foreign}`);
      }
      await isStored('order:same');
    }
  });
});
