/** Tests of placing orders: atomic storage, repeated orders and idempotency keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import {
  orderPlacer,
  type PlaceOrder,
  type PlaceResult,
  placeOrders,
} from '../../../internal/service/orders/place-order.ts';
import { content, movedTo, nextId } from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { recordingMeter } from '../../support/recording-log.ts';
import { gate, turns } from '../../support/turns.ts';

const OPTIONS = { maxBatch: 100, concurrency: 2, maxWaiting: 1_000 };

function setUp() {
  const store = memoryStore();
  const meter = recordingMeter();
  const deps = { orders: store.orders, clock: manualClock(), meter, newEventId: () => nextId('event') };
  const { tables } = store;
  return { ...store, tables, meter, deps, place: orderPlacer(deps, OPTIONS) };
}

const answer = (order: Order) => ({
  status: 201,
  headers: { Location: `/orders/${order.id}` },
  body: { id: order.id },
});

function command(
  changes: { id?: string; fingerprint?: string; key?: string; scheduledAt?: number } = {},
): PlaceOrder {
  const { id = nextId('order'), fingerprint = 'content', key, scheduledAt } = changes;
  return {
    content: content({ id }),
    scheduledAt,
    fingerprint,
    origin: { producer: 'order-service' },
    idempotency: key
      ? { key: { principal: 'p', operation: 'POST /orders', key, fingerprint }, answer }
      : undefined,
  };
}

function codeOf(result: PlaceResult): string {
  return result.outcome === 'refused' ? result.error.code : result.outcome;
}

test('an order, its event and its response are stored together', async () => {
  const { place, tables, bus, meter } = setUp();
  const result = await place(command({ id: 'o1', key: 'k1', scheduledAt: NOON + 5 }));
  assert.equal(result.outcome, 'placed');
  const order = tables.orders.get('o1' as OrderId)?.order;
  assert.deepEqual([order?.status, order?.dueAt, order?.version], ['CREATED', NOON + 5, 1]);
  assert.deepEqual(
    bus.events.map(({ eventType, orderId }) => [eventType, orderId]),
    [['order.created', 'o1']],
  );
  assert.deepEqual([...tables.answers.values()], [{ ...answer(order as Order), fingerprint: 'content' }]);
  assert.equal(meter.total('orders_placed'), 1);
});

test('orders that are placed together get one outcome each, in the same order', async () => {
  const { deps, bus } = setUp();
  const results = await placeOrders(deps, [
    command({ id: 'a' }),
    command({ id: 'b' }),
    command({ id: 'a' }),
    command({ id: 'b', fingerprint: 'something else' }),
  ]);
  assert.deepEqual(results.map(codeOf), ['placed', 'placed', 'repeated', 'ORDER_ID_TAKEN']);
  assert.equal(bus.events.length, 2);
});

test('an order with an existing id and the same content gets the first result, and its event is published once', async () => {
  const { place, bus, meter } = setUp();
  await place(command({ id: 'o1' }));
  const again = await place(command({ id: 'o1' }));
  assert.ok(again.outcome === 'repeated' && again.order.id === 'o1');
  assert.equal(bus.events.length, 1);
  assert.equal(meter.total('orders_placed'), 1);
});

test('a repeated order is returned as it was placed, and that response is stored under a new idempotency key', async () => {
  const { place, deps, tables } = setUp();
  const first = await place(command({ id: 'o1', scheduledAt: NOON + 5 }));
  assert.equal(first.outcome, 'placed');
  const stored = tables.orders.get('o1' as OrderId);
  assert.ok(stored && first.outcome === 'placed');
  tables.orders.set('o1' as OrderId, { ...stored, order: movedTo(stored.order, 'PROCESSING') });
  deps.clock.advance(60_000);
  const full = (order: Order) => ({ status: 201, headers: {}, body: order });
  const again = command({ id: 'o1', scheduledAt: NOON + 5, key: 'k' });
  const repeated = await place({
    ...again,
    ...(again.idempotency && { idempotency: { ...again.idempotency, answer: full } }),
  });
  assert.deepEqual(repeated, { outcome: 'repeated', order: first.order });
  assert.deepEqual(
    [...tables.answers.values()].map(({ body }) => body),
    [first.order],
  );
});

test('an order with an existing id and other content is refused, and nothing changes', async () => {
  const { place, bus, tables } = setUp();
  await place(command({ id: 'o1', fingerprint: 'a' }));
  const before = structuredClone(tables.orders);
  assert.equal(codeOf(await place(command({ id: 'o1', fingerprint: 'b' }))), 'ORDER_ID_TAKEN');
  assert.deepEqual(tables.orders, before);
  assert.equal(bus.events.length, 1);
});

test('an idempotency key with a stored response gets that response, and no second order is placed', async () => {
  const { place, tables } = setUp();
  await place(command({ id: 'first', key: 'k1' }));
  const again = await place(command({ id: 'second', key: 'k1' }));
  assert.ok(again.outcome === 'answered');
  assert.deepEqual(again.answer.body, { id: 'first' });
  assert.deepEqual([...tables.orders.keys()], ['first']);
});

test('an idempotency key that was used for another request is refused, and no order is placed', async () => {
  const { place, tables } = setUp();
  await place(command({ id: 'first', key: 'k1', fingerprint: 'a' }));
  assert.equal(
    codeOf(await place(command({ id: 'second', key: 'k1', fingerprint: 'b' }))),
    'IDEMPOTENCY_KEY_REUSED',
  );
  assert.deepEqual([...tables.orders.keys()], ['first']);
});

test('the same idempotency key of another principal or operation is independent', async () => {
  const { place, tables } = setUp();
  const first = command({ key: 'k1' });
  const key = first.idempotency?.key;
  assert.ok(key && first.idempotency);
  const others = [
    { ...key, principal: 'q' },
    { ...key, operation: 'POST /v1/orders' },
  ].map((other) => ({ ...command(), idempotency: { key: other, answer } }));
  const results = await Promise.all([first, ...others].map(place));
  assert.deepEqual(results.map(codeOf), ['placed', 'placed', 'placed']);
  assert.equal(tables.answers.size, 3);
});

test('an idempotency key whose request is in progress is refused, and can be used again after that request failed', async () => {
  const { deps, orders } = setUp();
  const held = gate();
  let isReachable = false;
  const place = orderPlacer(
    {
      ...deps,
      orders: {
        ...orders,
        async place(placements) {
          await held.promise;
          if (!isReachable) throw new TiffinError('UNAVAILABLE', 'unreachable');
          return orders.place(placements);
        },
      },
    },
    OPTIONS,
  );
  const first = place(command({ key: 'k1' }));
  await turns();
  assert.equal(codeOf(await place(command({ key: 'k1' }))), 'IDEMPOTENCY_KEY_IN_FLIGHT');
  held.open();
  await assert.rejects(first, { code: 'UNAVAILABLE' });
  isReachable = true;
  assert.equal(codeOf(await place(command({ key: 'k1' }))), 'placed');
});

test('a refused order does not make the other orders of its group fail', async () => {
  const { place } = setUp();
  await place(command({ id: 'taken', fingerprint: 'a' }));
  const results = await Promise.all(
    [command({ id: 'x' }), command({ id: 'taken', fingerprint: 'b' }), command({ id: 'y' })].map(place),
  );
  assert.deepEqual(results.map(codeOf), ['placed', 'ORDER_ID_TAKEN', 'placed']);
});
