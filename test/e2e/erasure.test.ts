/** Erasing a customer in the whole program: nothing of the person is left in Postgres or Redis, and the books are. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import type pg from 'pg';
import type { Order, OrderId } from '../../internal/domain/order.ts';
import { openPool } from '../../internal/repository/postgres/database.ts';
import { postgresOrderStore } from '../../internal/repository/postgres/orders/order-store.ts';
import { postgresTopicLog } from '../../internal/repository/postgres/stream/topic-log.ts';
import { postgresTransactions } from '../../internal/repository/postgres/transactions.ts';
import { ADDRESS, createdEvent, movedTo, placedOrder } from '../support/builders.ts';
import { startProvider, type TestProvider } from '../support/notification-provider.ts';
import { type Program, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { tracesOf } from '../support/traces-of.ts';
import { until } from '../support/until.ts';

const LIMIT = { timeout: 120_000 };
const PERSON = {
  name: 'Meera Quillfeather',
  phone: '+49-555-777-1234',
  street: '77 Unfindable Lane',
  zipCode: 'QX9 7ZZ',
  note: 'ring twice, the dog Bombur sleeps',
  token: 'tok_approve_meera_5511',
};
const TEXTS = [...Object.values(PERSON), 'Bombur'];
const MANY = 1_500;

let database: Awaited<ReturnType<typeof freshDatabase>>;
let redisServer: Awaited<ReturnType<typeof freshRedis>>;
let pool: pg.Pool;
let redis: Redis;
let provider: TestProvider;
let program: Program;
let env: Record<string, string>;

before(async () => {
  [database, redisServer, provider] = await Promise.all([freshDatabase(), freshRedis(), startProvider()]);
  env = { DATABASE_URL: database.url, REDIS_URL: redisServer.url, NOTIFICATION_URL: provider.url };
  program = await startProgram(env);
  pool = openPool(database.url, { max: 2, onError() {} });
  redis = new Redis(redisServer.url);
});
after(async () => {
  await program?.stop();
  redis?.disconnect();
  await pool?.end();
  await provider?.down();
  await Promise.all([database?.drop(), redisServer?.drop()]);
});

const ask = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  request(method, program.url + path, body, headers);
const erase = (id: string) => ask('POST', `/admin/customers/${id}/erasure`);
const details = {
  customerId: 'c-meera',
  contact: { name: PERSON.name, phone: PERSON.phone },
  deliveryAddress: { street: PERSON.street, city: 'Springfield', state: 'IL', zipCode: PERSON.zipCode },
  specialInstructions: PERSON.note,
  payment: { token: PERSON.token },
};
const statusOf = async (id: string) => (await ask('GET', `/ui/orders/${id}`)).body;

async function delivered(): Promise<string> {
  const menu = { restaurantId: 'REST-456', items: [{ itemId: 'PIZZA-001', quantity: 1 }] };
  const { body, status } = await ask(
    'POST',
    '/v1/orders',
    { ...details, ...menu },
    { 'Idempotency-Key': 'k-1' },
  );
  assert.equal(status, 201, JSON.stringify(body));
  const path = `/v1/restaurants/REST-456/orders/${body.orderId}`;
  await until(
    'the restaurant to accept',
    async () => (await ask('POST', path, { action: 'ACCEPT' })).status === 200,
  );
  const rider = await until('a rider', async () => (await statusOf(body.orderId)).rider?.riderId);
  for (const status of ['PICKED_UP', 'DELIVERED']) {
    const report = { status, timestamp: new Date().toISOString() };
    await until(
      status,
      async () => (await ask('PATCH', `/v1/riders/${rider}/orders/${body.orderId}`, report)).status === 204,
    );
  }
  return body.orderId;
}

async function cancelled(): Promise<string> {
  const { body } = await ask('POST', '/orders', {
    ...details,
    id: 'cancelled-1',
    customer_name: PERSON.name,
    currency: 'USD',
    items: [{ itemId: 'sushi-set', quantity: 1, unitPrice: 9.5 }],
    scheduledAt: new Date(Date.now() + 3_600_000).toISOString(),
  });
  const refused = await erase('c-meera');
  assert.equal(refused.status, 409, JSON.stringify(body));
  assert.match(refused.body.errors[0].detail, /cancelled-1/);
  assert.equal(refused.body.errors[0].code, 'ORDERS_OPEN');
  assert.ok((await tracesOf([PERSON.name], pool)).length > 0, 'a refusal erases nothing');
  await ask('POST', '/v1/orders/cancelled-1/cancel', { reason: `${PERSON.name} has changed her mind` });
  return 'cancelled-1';
}

test(
  'a customer is erased from every table and every key, while amounts, ids, statuses and times stay',
  LIMIT,
  async () => {
    const id = await delivered();
    const other = await cancelled();
    const record = {
      eventType: 'order.created',
      orderId: id,
      payload: { customerName: PERSON.name, version: 'no number' },
    };
    await postgresTopicLog(pool, () => {}).produce('raw.order-events', [{ key: id, value: record }]);
    const ids = [id, other];
    await until('everything to be known everywhere', async () => {
      const { rows } = await pool.query(
        `SELECT (SELECT count(*) FROM order_history WHERE order_id = $1 AND event_type = 'order.delivered')
        + (SELECT count(*) FROM order_history WHERE order_id = $2 AND event_type = 'order.cancelled')
        + (SELECT count(*) FROM notifications WHERE order_id = $1 AND template = 'ORDER_DELIVERED' AND state = 'SENT')
        + (SELECT count(*) FROM payments WHERE order_id = $1 AND state = 'CAPTURED')
        + least(1, (SELECT count(*) FROM dead_letters)) AS done`,
        ids,
      );
      return Number(rows[0].done) === 5;
    });
    const before = await tracesOf(TEXTS, pool, redis);
    for (const place of ['orders', 'events', 'order_history', 'notifications', 'dead_letters', 'Redis'])
      assert.ok(
        before.some((trace) => trace.startsWith(place)),
        `${place} holds something: ${before}`,
      );
    const books = async () => {
      const { rows } = await pool.query(
        `SELECT order_id, customer_id, restaurant_id, status, total_amount, currency, created_at, content->'items' AS items,
        p.state, p.captured, p.authorized, p.captured_at FROM orders LEFT JOIN payments p USING (order_id, currency) ORDER BY 1`,
      );
      return rows;
    };
    const kept = await books();

    const answer = await erase('c-meera');
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal(answer.body.erased.orders, 2);
    assert.ok(
      answer.body.erased.messages > 3 && answer.body.erased.history > 3 && answer.body.erased.letters > 0,
    );
    assert.deepEqual(await tracesOf(TEXTS, pool, redis), []);
    assert.deepEqual(await books(), kept);
    assert.deepEqual((await ask('GET', `/v1/orders/${id}`)).body.status, 'DELIVERED');

    const repeated = await erase('c-meera');
    assert.deepEqual(repeated.body.erased, {
      orders: 0,
      events: 0,
      history: 0,
      messages: 0,
      letters: 0,
      answers: 0,
    });
    await until('the erasure to be in the history', async () =>
      (await ask('GET', `/ui/orders/${id}/history`)).body.history.some(
        (entry: { payload: { fact?: string } }) => entry.payload.fact === 'ERASED',
      ),
    );
    assert.deepEqual(await tracesOf(TEXTS, pool, redis), []);
    const silent = await erase('nobody-known');
    assert.deepEqual([silent.status, silent.body.erased.orders], [200, 0]);
  },
);

test(
  'an erasure whose process is killed in the middle is finished by the next request, in short transactions',
  LIMIT,
  async () => {
    const transactions = postgresTransactions(pool, () => {});
    const placed: Order[] = Array.from({ length: MANY }, (_, n) =>
      placedOrder({
        content: {
          id: `many-${n}`,
          customerId: 'c-many',
          customerName: 'Tobias Manyorders',
          deliveryAddress: ADDRESS,
        },
        at: Date.now(),
        scheduledAt: Date.now() + 86_400_000,
      }),
    );
    await postgresOrderStore(pool, () => {}).place(
      placed.map((order) => ({ order, event: createdEvent(order, crypto.randomUUID()), fingerprint: 'f' })),
    );
    await transactions.run((tx) =>
      tx.saveOrders(placed.map((order) => movedTo(order, 'PROCESSING', 'COMPLETED'))),
    );
    const erasedOrders = async () => {
      const { rows } = await pool.query(
        `SELECT count(*)::int AS n FROM erased_orders WHERE customer_id = 'c-many'`,
      );
      return rows[0].n as number;
    };
    const lost = erase('c-many').then(
      () => 'answered',
      () => 'lost',
    );
    await until('some orders to be erased', async () => (await erasedOrders()) > 0);
    await program.kill();
    assert.equal(await lost, 'lost');
    const reached = await erasedOrders();
    assert.ok(reached > 0 && reached < MANY, `${reached} orders were erased before the kill`);
    program = await startProgram(env);
    const { body } = await erase('c-many');
    assert.equal(body.erased.orders, MANY - reached);
    assert.deepEqual(await tracesOf(['Tobias Manyorders', ADDRESS.street], pool, redis), []);
    const versions = await postgresOrderStore(pool, () => {}).find(placed.map(({ id }) => id as OrderId));
    assert.deepEqual([...new Set(versions.map(({ version }) => version))], [4], 'each was erased once');
  },
);
