/** Access, as one table: every route of the program, asked by every kind of principal. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Order, OrderId } from '../../internal/domain/order.ts';
import { ADDRESS, createdEvent, movedTo, nextId, placedOrder, type Step } from '../support/builders.ts';
import { PRINCIPALS, type Row, TABLE } from './access-table.ts';
import { type EveryService, startEveryService } from './every-service.ts';
import { bearer } from './tokens.ts';

const STEPS: Readonly<Record<string, readonly Step[]>> = {
  CREATED: [],
  CONFIRMED: ['PROCESSING', 'CONFIRMED'],
  RIDER_ASSIGNED: ['PROCESSING', 'CONFIRMED', 'ACCEPTED', 'PREPARING', 'RIDER_ASSIGNED'],
};
const NOW = Date.now();

let every: EveryService;
let headers: Record<(typeof PRINCIPALS)[number], Record<string, string>>;

before(async () => {
  every = await startEveryService({ PAYMENT_WEBHOOK_SECRET: 'a secret of the provider' });
  const { riders } = every.wiring;
  await riders.put({ id: 'rider-1', name: 'Ravi', isOnDuty: true, capacity: 100 }, NOW);
  headers = {
    nobody: {},
    'own customer': await bearer('asha', 'customer'),
    'other customer': await bearer('ben', 'customer'),
    'own restaurant': await bearer('REST-456', 'restaurant'),
    'other restaurant': await bearer('REST-9', 'restaurant'),
    'own rider': await bearer('rider-1', 'rider'),
    'other rider': await bearer('rider-2', 'rider'),
    operator: await bearer('olga', 'operator'),
  };
});
after(() => every?.close());

/** An order of Asha, at REST-456, carried by rider-1, in one of the statuses of STEPS. */
async function orderOf({ order: status = 'CREATED' }: Row): Promise<Order> {
  const { orders, transactions, deliveries, tickets, payments } = every.wiring;
  const content = {
    id: nextId('mine'),
    customerId: 'asha',
    restaurantId: 'REST-456',
    deliveryAddress: ADDRESS,
    items: [{ itemId: 'PIZZA-001', quantity: 1, unitPriceMinor: 1_250 }],
  };
  const created = placedOrder({ content, at: NOW, scheduledAt: NOW + 1_800_000 });
  await orders.place([{ order: created, event: createdEvent(created), fingerprint: 'f' }]);
  const order = movedTo(created, ...(STEPS[status] as Step[]));
  const { id: orderId, restaurantId = '' } = order;
  await transactions.run(async (tx) => {
    if (status !== 'CREATED') await tx.saveOrders([order]);
    await deliveries.save(tx, [
      {
        orderId,
        restaurantId,
        state: 'ASSIGNED',
        riderId: 'rider-1',
        attempts: 0,
        requestedAt: NOW,
        assignedAt: NOW,
      },
    ]);
    await tickets.save(tx, [{ orderId, restaurantId, state: 'OPEN', openedAt: NOW }]);
    await payments.save(tx, [
      {
        ...{ orderId, currency: 'USD', state: 'PENDING', version: 0, attempts: 0, requestedAt: NOW },
        ...{ requestedMinor: 1_250, authorizedMinor: 0, capturedMinor: 0, refundedMinor: 0 },
      },
    ]);
  });
  return order;
}

async function ask(name: string, row: Row, id: string, own: Record<string, string>): Promise<Response> {
  const [method = '', pattern = ''] = name.split(' ');
  const path = (row.path ?? pattern).replace(/\{order\}|:id/, id);
  return fetch(every.url + path, {
    method,
    headers: { ...own, ...(row.body ? { 'content-type': 'application/json' } : {}) },
    ...(row.body ? { body: JSON.stringify(row.body) } : {}),
  });
}

test('the table of access has exactly the routes that the program serves', () => {
  const served = every.routes.map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(served.toSorted(), Object.keys(TABLE).toSorted());
});

describe('each route answers each principal as the table says', () => {
  for (const [name, row] of Object.entries(TABLE)) {
    test(name, async () => {
      for (const [index, principal] of PRINCIPALS.entries()) {
        const expected = typeof row.answers === 'number' ? row.answers : row.answers[index];
        const { id, version } = await orderOf(row);
        const answer = await ask(name, row, id, headers[principal]);
        const isStream = answer.headers.get('content-type')?.startsWith('text/event-stream');
        const text = isStream ? '' : await answer.text();
        if (isStream) await answer.body?.cancel();
        assert.equal(answer.status, expected, `${principal}: ${text}`);
        if (answer.status < 400) continue;
        const [order] = await every.wiring.orders.find([id]);
        assert.equal(order?.version, version, `${principal} changed nothing`);
        assert.doesNotMatch(text, /asha|Churchgate|REST-456|PIZZA/, `${principal} learns nothing`);
      }
    });
  }
});

test('an order of someone else is answered like one that does not exist, on every route with its id', async () => {
  for (const [name, row] of Object.entries(TABLE)) {
    const answers = typeof row.answers === 'number' ? [] : row.answers;
    for (const [index, status] of answers.entries()) {
      if (status !== 404 || name.includes('/dlq/')) continue;
      const own = headers[PRINCIPALS[index] as 'operator'];
      const { id } = await orderOf(row);
      const unknown = id.replace('mine', 'none');
      const [theirs, none] = [await ask(name, row, id, own), await ask(name, row, unknown, own)];
      assert.equal(none.status, 404, name);
      assert.equal(await theirs.text(), (await none.text()).replaceAll(unknown, id), name);
    }
  }
});

test('a restaurant and a rider reach no order of others through a path of their own', async () => {
  const asOther = async (path: string, principal: 'other restaurant' | 'other rider', body?: object) => {
    const method = body ? (path.includes('riders') ? 'PATCH' : 'POST') : 'GET';
    const answer = await ask(
      `${method} ${path}`,
      { answers: 0, ...(body ? { body } : {}) },
      '',
      headers[principal],
    );
    return [answer.status, await answer.text()] as const;
  };
  const confirmed = await orderOf({ answers: 0, order: 'CONFIRMED' });
  for (const action of ['ACCEPT', 'REJECT', 'COLLECTED']) {
    const path = `/v1/restaurants/REST-9/orders/${confirmed.id}`;
    assert.equal((await asOther(path, 'other restaurant', { action }))[0], 404, action);
  }
  const carried = await orderOf({ answers: 0, order: 'RIDER_ASSIGNED' });
  await every.wiring.riders.put({ id: 'rider-2', name: 'Ben', isOnDuty: true, capacity: 2 }, NOW);
  for (const status of ['PICKED_UP', 'DELIVERED']) {
    const body = { status, timestamp: new Date().toISOString() };
    const path = `/v1/riders/rider-2/orders/${carried.id}`;
    assert.equal((await asOther(path, 'other rider', body))[0], 409, status);
  }
  assert.deepEqual(
    await asOther('/v1/restaurants/REST-9/orders?limit=200', 'other restaurant').then(
      ([, text]) => JSON.parse(text).orders ?? text,
    ),
    [],
  );
  assert.deepEqual(JSON.parse((await asOther('/v1/riders/rider-2/orders', 'other rider'))[1]), {
    orders: [],
  });
  const unchanged = await every.wiring.orders.find([confirmed.id, carried.id] as OrderId[]);
  assert.deepEqual(
    new Set(unchanged.map(({ version }) => version)),
    new Set([confirmed.version, carried.version]),
  );
});

test('a customer places no order in another’s name, in the body or in the query, and no stored answer is another’s', async () => {
  const row = TABLE['POST /api/v1/orders'] as Row;
  const { user_id: _, ...body } = row.body as { user_id: string };
  const key = { 'idempotency-key': nextId('key') };
  const place = (query: string, who: 'own customer' | 'other customer') =>
    ask('POST ', { ...row, body, path: `/api/v1/orders${query}` }, '', { ...headers[who], ...key });
  assert.equal((await place('?user_id=asha', 'other customer')).status, 403);
  const hers = await place('?user_id=asha', 'own customer');
  const his = await place('?user_id=ben', 'other customer');
  assert.deepEqual([hers.status, his.status], [202, 202]);
  assert.notDeepEqual(await hers.json(), await his.json());
});
