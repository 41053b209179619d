/** The transactional-outbox dialect: placing, reading, moving and cancelling orders in its terms, and the access to each. */
import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, test } from 'node:test';
import type { OrderId, OrderStatus } from '../../../internal/domain/order.ts';
import { orderPlacer } from '../../../internal/service/orders/place-order.ts';
import { jwtAuth } from '../../../internal/transport/http/auth.ts';
import { outboxRoutes } from '../../../internal/transport/http/routes/orders/outbox-routes.ts';
import { type Kind, movedTo, nextId, orderAt } from '../../support/builders.ts';
import { DISCOUNT_OF_TEN, type MemoryCatalogue, memoryCatalogue } from '../../support/catalogue.ts';
import { type MemoryStore, memoryStore } from '../../support/in-memory.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { recordingMeter } from '../../support/recording-log.ts';
import { type Answer, type Api, startApi } from '../api.ts';
import { bearer, SECRET } from '../tokens.ts';

const PATH = '/api/v1/orders';
const THALI = { menu_item_id: 'thali', quantity: 2 };
const ORDER = { user_id: 'asha', restaurant_id: 'r1', items: [THALI] };

function codes(answer: Answer): string[] {
  for (const error of answer.body.errors) assert.equal(error.status, String(answer.status));
  return [
    String(answer.status),
    ...answer.body.errors.map(({ code, pointer = '' }: Record<string, string>) =>
      `${code} ${pointer}`.trim(),
    ),
  ];
}

describe('/api/v1/orders', () => {
  let api: Api;
  let store: MemoryStore;
  let catalogue: MemoryCatalogue;
  const headers: Record<string, Record<string, string>> = {};

  before(async () => {
    for (const [subject, role] of [
      ['asha', 'customer'],
      ['bela', 'customer'],
      ['r1', 'restaurant'],
      ['r2', 'restaurant'],
      ['ravi', 'rider'],
      ['olga', 'operator'],
    ] as const)
      headers[subject] = await bearer(subject, role);
  });
  beforeEach(async () => {
    store = memoryStore();
    catalogue = memoryCatalogue();
    const clock = manualClock();
    const newEventId = () => nextId('event');
    const place = orderPlacer(
      { orders: store.orders, clock, meter: recordingMeter(), newEventId },
      { maxBatch: 100, concurrency: 2, maxWaiting: 100 },
    );
    const deps = { ...store, clock, newEventId, newOrderId: () => nextId('outbox'), place, catalogue };
    api = await startApi({
      authenticate: jwtAuth({ secret: SECRET }),
      more: outboxRoutes({ ...deps, pricing: DISCOUNT_OF_TEN, currency: 'USD' }),
    });
  });
  afterEach(() => api.close());

  const ask = (
    who: string,
    method: string,
    path: string,
    body?: unknown,
    more: Record<string, string> = {},
  ) =>
    api.ask(method, PATH + path, {
      headers: { ...headers[who], ...more },
      ...(body === undefined ? {} : { body }),
    });
  /** A restaurant delivers its order itself when no rider is assigned. */
  const BROUGHT: Partial<Record<OrderStatus, Parameters<typeof movedTo>[1][]>> = {
    OUT_FOR_DELIVERY: ['OUT_FOR_DELIVERY'],
    DELIVERED: ['OUT_FOR_DELIVERY', 'DELIVERED'],
  };
  function seed(status: OrderStatus, kind: Kind = 'restaurant'): void {
    const steps = BROUGHT[status];
    const order = steps ? movedTo(orderAt('PREPARING', kind), ...steps) : orderAt(status, kind);
    assert.equal(order.status, status);
    store.seed({ ...order, id: 'o-1' as OrderId, customerId: 'asha' });
  }
  const stored = (id = 'o-1') => store.tables.orders.get(id as OrderId)?.order;
  const announced = () => store.tables.events.map(({ eventType }) => eventType);
  const move = (status: string, who = 'olga', more = {}) =>
    ask(who, 'PATCH', '/o-1/status', { status }, more);
  const cancel = (who = 'olga', more = {}) => ask(who, 'POST', '/o-1/cancel', undefined, more);

  describe('placing', () => {
    test('a placed order is answered 202 with its id, status, total amount and a message', async () => {
      const { status, headers, body } = await ask('olga', 'POST', '', ORDER);
      const { order_id, message, ...rest } = body;
      assert.deepEqual([status, rest], [202, { status: 'PLACED', total_amount: 30 }]);
      assert.match(message, /^[A-Z].*\.$/);
      assert.deepEqual([headers.location, headers.etag], [`${PATH}/${order_id}`, '"1"']);
      const order = stored(order_id);
      assert.deepEqual(
        [order?.customerId, order?.restaurantId, order?.items],
        ['asha', 'r1', [{ itemId: 'thali', name: 'Thali', quantity: 2, unitPriceMinor: 1_250 }]],
      );
      assert.deepEqual(announced(), ['order.created']);
    });

    test('the user of an order comes from the body, or else from the query', async () => {
      const { user_id: _, ...anonymous } = ORDER;
      const asked = await ask('olga', 'POST', '?user_id=bela', anonymous);
      assert.equal(stored(asked.body.order_id)?.customerId, 'bela');
      const both = await ask('olga', 'POST', '?user_id=bela', ORDER);
      assert.equal(stored(both.body.order_id)?.customerId, 'asha');
      const none = await ask('olga', 'POST', '', anonymous);
      assert.equal(stored(none.body.order_id)?.customerId, undefined);
    });

    test('a customer can order only for themselves, and restaurants and riders cannot order', async () => {
      const { user_id: _, ...anonymous } = ORDER;
      const own = await ask('bela', 'POST', '', anonymous);
      assert.equal(stored(own.body.order_id)?.customerId, 'bela');
      assert.deepEqual(codes(await ask('bela', 'POST', '', ORDER)), ['403', 'FORBIDDEN']);
      for (const who of ['r1', 'ravi'])
        assert.deepEqual(codes(await ask(who, 'POST', '', ORDER)), ['403', 'FORBIDDEN']);
    });

    test('an order takes effect once for an idempotency key, and another request under the key is refused', async () => {
      const key = { 'idempotency-key': 'k-1' };
      const first = await ask('olga', 'POST', '', ORDER, key);
      const again = await ask('olga', 'POST', '', ORDER, key);
      assert.deepEqual([again.status, again.text], [202, first.text]);
      assert.equal(again.headers['idempotency-replayed'], 'true');
      const other = { ...ORDER, items: [{ ...THALI, quantity: 3 }] };
      assert.deepEqual(codes(await ask('olga', 'POST', '', other, key)), ['422', 'IDEMPOTENCY_KEY_REUSED']);
      assert.equal(store.tables.orders.size, 1);
    });

    test('a used idempotency key is refused for another user in the body, even with the same query', async () => {
      const key = { 'idempotency-key': 'k-1' };
      await ask('olga', 'POST', '?user_id=ravi', ORDER, key);
      const other = await ask('olga', 'POST', '?user_id=ravi', { ...ORDER, user_id: 'bela' }, key);
      assert.deepEqual(codes(other), ['422', 'IDEMPOTENCY_KEY_REUSED']);
    });

    test('an invalid order is refused with all of its faults', async () => {
      const bad = { user_id: '', restaurant_id: 7, items: [{ menu_item_id: 'a b', quantity: 0 }, {}] };
      assert.deepEqual(codes(await ask('olga', 'POST', '', bad)), [
        '400',
        'INVALID_USER_ID /user_id',
        'INVALID_RESTAURANT_ID /restaurant_id',
        'INVALID_ITEMS /items/0/menu_item_id',
        'INVALID_QUANTITY /items/0/quantity',
        'INVALID_ITEMS /items/1/menu_item_id',
        'INVALID_QUANTITY /items/1/quantity',
      ]);
      assert.deepEqual(codes(await ask('olga', 'POST', '', { ...ORDER, items: [] })), [
        '400',
        'INVALID_ITEMS /items',
      ]);
    });

    test('an order is refused for an unknown restaurant, a closed one, or an item that it does not sell', async () => {
      const at = (restaurant_id: string, ...ids: string[]) =>
        ask('olga', 'POST', '', {
          restaurant_id,
          items: ids.map((menu_item_id) => ({ menu_item_id, quantity: 1 })),
        });
      assert.deepEqual(codes(await at('r9', 'thali')), ['404', 'UNKNOWN_RESTAURANT']);
      assert.deepEqual(codes(await at('r2', 'samosa')), ['409', 'RESTAURANT_CLOSED']);
      assert.deepEqual(codes(await at('r1', 'ghost', 'thali', 'samosa')), [
        '400',
        'UNKNOWN_ITEM /items/0',
        'ITEM_NOT_SOLD_HERE /items/2',
      ]);
      assert.equal(store.tables.orders.size, 0);
    });
  });

  describe('reading', () => {
    test('an order is returned with its items by name, and its base total, discount and fees', async () => {
      const { body: placed } = await ask('olga', 'POST', '', {
        ...ORDER,
        items: [{ ...THALI, quantity: 5 }],
      });
      const { status, body, headers } = await ask('asha', 'GET', `/${placed.order_id}`);
      assert.deepEqual([status, headers.etag], [200, '"1"']);
      assert.deepEqual(body, {
        id: placed.order_id,
        order_id: placed.order_id,
        status: 'PLACED',
        total_amount: 61.25,
        base_total: 62.5,
        discount_applied: 6.25,
        fees_applied: 5,
        items: [{ name: 'Thali', quantity: 5, price: 12.5 }],
        created_at: new Date(NOON).toISOString(),
      });
    });

    test('an order is visible only to its customer, its restaurant and operators', async () => {
      seed('CONFIRMED');
      for (const who of ['asha', 'r1', 'olga'])
        assert.equal((await ask(who, 'GET', '/o-1')).status, 200, who);
      for (const who of ['bela', 'r2'])
        assert.deepEqual(codes(await ask(who, 'GET', '/o-1')), ['404', 'ORDER_NOT_FOUND'], who);
      assert.deepEqual(codes(await ask('olga', 'GET', '/%00')), ['404', 'ORDER_NOT_FOUND']);
    });

    test('a failed order is returned with its reason', async () => {
      seed('FAILED');
      const { body } = await ask('asha', 'GET', '/o-1');
      assert.deepEqual([body.status, body.reason], ['CANCELLED', 'NO_STOCK']);
    });
  });

  describe('moving', () => {
    test('an order moves through each status of its primary flow', async () => {
      seed('CONFIRMED');
      for (const [word, status] of [
        ['PREPARING', 'PREPARING'],
        ['OUT_FOR_DELIVERY', 'OUT_FOR_DELIVERY'],
        ['DELIVERED', 'DELIVERED'],
      ]) {
        const answer = await move(word as string);
        assert.deepEqual([answer.status, answer.body.status, stored()?.status], [200, word, status]);
      }
      assert.deepEqual(announced(), [
        'order.accepted',
        'order.preparing',
        'order.out_for_delivery',
        'order.delivered',
      ]);
      assert.equal(stored()?.version, stored()?.timeline.length);
    });

    test('a restaurant cannot end an order that a rider delivers, and can end one that it delivers itself', async () => {
      const brought = movedTo(orderAt('RIDER_ASSIGNED'), 'OUT_FOR_DELIVERY');
      store.seed({ ...brought, id: 'o-1' as OrderId, restaurantId: 'r1' });
      const before = stored();
      assert.deepEqual(codes(await move('DELIVERED', 'r1')), ['403', 'FORBIDDEN']);
      assert.deepEqual([stored(), announced()], [before, []]);
      assert.equal((await move('DELIVERED')).status, 200, 'an operator may');
      store.tables.orders.clear();
      seed('OUT_FOR_DELIVERY');
      assert.equal((await move('DELIVERED', 'r1')).status, 200);
    });

    test('a collected order is completed', async () => {
      seed('PREPARING');
      const { status, body } = await move('COMPLETED');
      assert.deepEqual([status, body.status, stored()?.status], [200, 'DELIVERED', 'COMPLETED']);
      assert.equal((await move('COMPLETED')).status, 200);
    });

    const ALREADY = [
      ['CREATED', 'PLACED'],
      ['PROCESSING', 'PLACED'],
      ['CONFIRMED', 'PLACED'],
      ['ACCEPTED', 'PREPARING'],
      ['PREPARING', 'PREPARING'],
      ['OUT_FOR_DELIVERY', 'OUT_FOR_DELIVERY'],
      ['DELIVERED', 'DELIVERED'],
      ['COMPLETED', 'DELIVERED'],
      ['CANCELLED', 'CANCELLED'],
      ['FAILED', 'CANCELLED'],
      ['REJECTED', 'CANCELLED'],
    ] as const;
    for (const [status, word] of ALREADY) {
      test(`moving an order from ${status} to ${word} changes nothing`, async () => {
        seed(status);
        const before = stored();
        const answer = await move(word);
        assert.deepEqual([answer.status, answer.body.status, stored()], [200, word, before]);
        assert.deepEqual(announced(), []);
      });
    }

    const JUMPS = [
      ['CREATED', 'PREPARING', 'PLACED', 'CANCELLED'],
      ['PROCESSING', 'DELIVERED', 'PLACED', 'CANCELLED'],
      ['CONFIRMED', 'DELIVERED', 'PLACED', 'PREPARING, CANCELLED'],
      ['CONFIRMED', 'COMPLETED', 'PLACED', 'PREPARING, CANCELLED'],
      ['PREPARING', 'DELIVERED', 'PREPARING', 'OUT_FOR_DELIVERY, COMPLETED, CANCELLED'],
      ['OUT_FOR_DELIVERY', 'PREPARING', 'OUT_FOR_DELIVERY', 'DELIVERED, CANCELLED'],
      ['PREPARING', 'PLACED', 'PREPARING', 'OUT_FOR_DELIVERY, COMPLETED, CANCELLED'],
      ['DELIVERED', 'CANCELLED', 'DELIVERED', undefined],
      ['COMPLETED', 'CANCELLED', 'DELIVERED', undefined],
      ['CANCELLED', 'PREPARING', 'CANCELLED', undefined],
    ] as const;
    for (const [status, word, here, reachable] of JUMPS) {
      test(`moving an order from ${status} to ${word} is refused, and the response lists the legal statuses`, async () => {
        seed(status);
        const before = stored();
        const answer = await move(word);
        assert.deepEqual(codes(answer), ['409', 'ILLEGAL_TRANSITION']);
        const then = reachable ? `it may become ${reachable}` : 'its status is final';
        assert.equal(
          answer.body.errors[0].detail,
          `order 'o-1' is ${here} and cannot become ${word}; ${then}`,
        );
        assert.deepEqual([stored(), announced()], [before, []]);
      });
    }

    test('an order that awaits a rider cannot be moved to OUT_FOR_DELIVERY', async () => {
      seed('PREPARING', 'everything');
      assert.match((await move('OUT_FOR_DELIVERY')).body.errors[0].detail, /it may become CANCELLED$/);
    });

    test('an order is moved only by operators and its own restaurant', async () => {
      seed('CONFIRMED');
      assert.deepEqual(codes(await move('PREPARING', 'r2')), ['404', 'ORDER_NOT_FOUND']);
      for (const who of ['asha', 'ravi'])
        assert.deepEqual(codes(await move('PREPARING', who)), ['403', 'FORBIDDEN']);
      assert.equal((await move('PREPARING', 'r1')).status, 200);
    });

    test('an order is moved only at the version that If-Match names', async () => {
      seed('PREPARING');
      const version = stored()!.version;
      assert.deepEqual(codes(await move('OUT_FOR_DELIVERY', 'olga', { 'if-match': '"1"' })), [
        '412',
        'VERSION_MISMATCH',
      ]);
      const answer = await move('OUT_FOR_DELIVERY', 'olga', { 'if-match': `"${version}"` });
      assert.deepEqual([answer.status, answer.headers.etag], [200, `"${version + 1}"`]);
    });

    test('an unknown status is refused, and an unknown order is 404', async () => {
      seed('CONFIRMED');
      for (const status of ['ACCEPTED', 'placed', '', 7, null, undefined])
        assert.deepEqual(codes(await ask('olga', 'PATCH', '/o-1/status', { status })), [
          '400',
          'INVALID_STATUS /status',
        ]);
      assert.deepEqual(codes(await ask('olga', 'PATCH', '/nowhere/status', { status: 'PREPARING' })), [
        '404',
        'ORDER_NOT_FOUND',
      ]);
    });
  });

  describe('cancelling', () => {
    for (const status of [
      'CREATED',
      'PROCESSING',
      'CONFIRMED',
      'ACCEPTED',
      'PREPARING',
      'OUT_FOR_DELIVERY',
    ] as const) {
      test(`an order that is ${status} can be cancelled`, async () => {
        seed(status);
        const { status: code, body } = await cancel('asha');
        assert.deepEqual([code, body.status, stored()?.status], [200, 'CANCELLED', 'CANCELLED']);
        assert.deepEqual(announced(), ['order.cancelled']);
        assert.equal((await cancel('asha')).status, 200);
        assert.deepEqual(announced(), ['order.cancelled'], 'once');
      });
    }

    test('a delivered order cannot be cancelled', async () => {
      seed('DELIVERED');
      assert.deepEqual(codes(await cancel()), ['409', 'ILLEGAL_TRANSITION']);
    });

    test('cancelling a failed order returns CANCELLED and changes nothing', async () => {
      seed('FAILED');
      const { status, body } = await cancel();
      assert.deepEqual([status, body.status, stored()?.status], [200, 'CANCELLED', 'FAILED']);
    });

    test('an order is not cancelled by another customer, a restaurant or a rider', async () => {
      seed('CONFIRMED');
      assert.deepEqual(codes(await cancel('bela')), ['404', 'ORDER_NOT_FOUND']);
      for (const who of ['r1', 'ravi']) assert.deepEqual(codes(await cancel(who)), ['403', 'FORBIDDEN']);
      assert.equal(stored()?.status, 'CONFIRMED');
    });

    test('a cancellation respects If-Match and is replayed for its idempotency key', async () => {
      seed('CONFIRMED');
      assert.deepEqual(codes(await cancel('olga', { 'if-match': '"9"' })), ['412', 'VERSION_MISMATCH']);
      const key = { 'idempotency-key': 'k-1' };
      const first = await cancel('olga', key);
      const again = await cancel('olga', key);
      assert.deepEqual([again.text, again.headers['idempotency-replayed']], [first.text, 'true']);
    });
  });
});
