/** Tests of changing an order: transitions, events, version checks and idempotency keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import type { OrderCommand } from '../../../internal/domain/order-decisions.ts';
import { type ChangeOrder, changeOrder } from '../../../internal/service/orders/change-order.ts';
import { movedTo, nextId, placedOrder } from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';

const LATER = NOON + 60_000;
const CANCEL: OrderCommand = { type: 'cancel', reason: 'late' };
const answer = (order: Order) => ({ status: 200, headers: {}, body: { status: order.status } });

function setUp(...orders: Order[]) {
  const store = memoryStore();
  store.seed(...orders);
  const deps = { transactions: store.transactions, clock: manualClock(), newEventId: () => nextId('event') };
  return {
    bus: store.bus,
    tables: () => store.tables,
    change: (id: string, command: OrderCommand, more: Partial<ChangeOrder> = {}) =>
      changeOrder(deps, {
        id: id as OrderId,
        commands: () => [command],
        origin: { producer: 'order-service' },
        ...more,
      }),
  };
}

const order = (id: string) => placedOrder({ content: { id }, scheduledAt: LATER });
const keyed = (key: string, fingerprint = 'a') => ({
  idempotency: { key: { principal: 'p', operation: 'cancel', key, fingerprint }, answer },
});

test('a cancelled order is stored and announced together', async () => {
  const { change, bus, tables } = setUp(order('o1'));
  const result = await change('o1', CANCEL);
  assert.ok('result' in result && result.result.status === 'CANCELLED');
  assert.deepEqual(tables().orders.get('o1' as OrderId)?.order, result.result);
  assert.deepEqual(
    bus.events.map(({ eventType, payload }) => [eventType, payload]),
    [['order.cancelled', { status: 'CANCELLED', version: 2, reason: 'late' }]],
  );
});

test('the event of a rescheduled order has its new time', async () => {
  const { change, bus } = setUp(order('o1'));
  await change('o1', { type: 'reschedule', scheduledAt: LATER + 1 });
  assert.deepEqual(
    bus.events.map(({ payload }) => payload),
    [{ version: 2, scheduledAt: '2030-01-01T12:01:00.001Z', dueAt: '2030-01-01T12:01:00.001Z' }],
  );
});

test('a change of an unknown order is refused with ORDER_NOT_FOUND', async () => {
  await assert.rejects(setUp().change('nowhere', CANCEL), { code: 'ORDER_NOT_FOUND' });
});

test('rescheduling a dispatched order is refused with ALREADY_DISPATCHED', async () => {
  const { change, bus } = setUp(movedTo(order('o1'), 'PROCESSING'));
  await assert.rejects(change('o1', { type: 'reschedule', scheduledAt: LATER }), {
    code: 'ALREADY_DISPATCHED',
    message: /PROCESSING/,
  });
  assert.equal(bus.events.length, 0);
});

test('an illegal transition is refused with a message that names the status and the allowed statuses', async () => {
  const { change, tables } = setUp(order('o1'), movedTo(order('o2'), 'PROCESSING', 'COMPLETED'));
  const before = tables();
  await assert.rejects(change('o1', { type: 'advance', to: 'COMPLETED', by: 'request' }), {
    code: 'ILLEGAL_TRANSITION',
    message: /is CREATED; it may become PROCESSING, FAILED, CANCELLED/,
  });
  await assert.rejects(change('o2', CANCEL), {
    code: 'ILLEGAL_TRANSITION',
    message: /COMPLETED; that status is final/,
  });
  assert.deepEqual(tables(), before);
});

test('a change with `ifVersion` is refused unless the order has one of the versions', async () => {
  const { change } = setUp(order('o1'));
  await assert.rejects(change('o1', CANCEL, { ifVersion: [2, 3] }), { code: 'VERSION_MISMATCH' });
  const result = await change('o1', CANCEL, { ifVersion: [7, 1] });
  assert.ok('result' in result && result.result.version === 2);
});

test('cancelling a cancelled order changes nothing and publishes no event', async () => {
  const { change, bus } = setUp(order('o1'));
  await change('o1', CANCEL);
  const again = await change('o1', CANCEL);
  assert.ok('result' in again && again.result.version === 2);
  assert.equal(bus.events.length, 1);
});

test('a request that repeats an idempotency key gets the stored response, even if the order has changed since', async () => {
  const { change, bus } = setUp(order('o1'));
  await change('o1', CANCEL, keyed('k1'));
  const again = await change('o1', { type: 'fail', reason: 'x' }, { ...keyed('k1'), ifVersion: [1] });
  assert.deepEqual(again, {
    answer: { status: 200, headers: {}, body: { status: 'CANCELLED' }, fingerprint: 'a' },
  });
  assert.equal(bus.events.length, 1);
});

test('an idempotency key that was used for another request is refused, and nothing changes', async () => {
  const { change, bus } = setUp(order('o1'), order('o2'));
  await change('o1', CANCEL, keyed('k1'));
  await assert.rejects(change('o2', CANCEL, keyed('k1', 'b')), { code: 'IDEMPOTENCY_KEY_REUSED' });
  assert.equal(bus.events.length, 1);
});

test('a refused change stores no response, so its idempotency key can be used again', async () => {
  const { change } = setUp(order('o1'));
  await assert.rejects(change('o1', CANCEL, { ...keyed('k1'), ifVersion: [9] }), {
    code: 'VERSION_MISMATCH',
  });
  assert.ok('result' in (await change('o1', CANCEL, keyed('k1'))));
});

test('an order is unchanged if its events cannot be stored', async () => {
  const store = memoryStore();
  store.seed(order('o1'));
  const deps = {
    clock: manualClock(),
    newEventId: () => 'event',
    transactions: {
      run: <T>(work: Parameters<typeof store.transactions.run<T>>[0]) =>
        store.transactions.run((tx) =>
          work({
            ...tx,
            appendEvents: async () => {
              throw new Error('the disk is full');
            },
          }),
        ),
    },
  };
  const change = { id: 'o1' as OrderId, commands: () => [CANCEL], origin: { producer: 'x' } };
  await assert.rejects(changeOrder(deps, change), /disk is full/);
  assert.equal(store.tables.orders.get('o1' as OrderId)?.order.status, 'CREATED');
});
