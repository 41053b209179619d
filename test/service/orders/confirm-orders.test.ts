/** From what stock and payment say to CONFIRMED, COMPLETED or FAILED. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fact } from '../../../internal/domain/announce.ts';
import type { Event, EventType, Payload } from '../../../internal/domain/events.ts';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { confirmConsumer } from '../../../internal/service/orders/confirm-orders.ts';
import type { Timer } from '../../../internal/service/scheduling/ports.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import { CONTENTS, movedTo, nextId, placedOrder } from '../../support/builders.ts';
import { deliveryOf, memoryQueue, memoryStore } from '../../support/in-memory.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';

const PAID = { amount: '12.50', currency: 'USD', authorizationId: 'a1' };

function setUp({ checksMs = 0 } = {}) {
  const clock = manualClock();
  const store = memoryStore();
  const set: Timer[] = [];
  const deps = {
    ...store,
    clock,
    log: recordingLog(),
    meter: recordingMeter(),
    queue: memoryQueue(clock),
    newEventId: () => nextId('event'),
    checksMs,
    timers: {
      set: async (_tx: unknown, timers: readonly Timer[]) => void set.push(...timers),
      clear: async () => {},
      async *waiting() {},
    },
  };
  const consumer = subscriptionOf(deps, confirmConsumer(deps));
  return {
    store,
    set,
    clock,
    queue: deps.queue,
    deliver: (...events: Event[]) =>
      consumer.handle({
        deliveries: events.map((event) => deliveryOf(event)),
        settle: async () => {},
      }),
    order: (id: string) => store.tables.orders.get(id as OrderId)?.order as Order,
    announced: () => store.bus.events.map(({ eventType, orderId }) => `${orderId} ${eventType}`),
  };
}

function says<T extends EventType>(type: T, orderId: string, payload: Payload<T>): Event {
  const about = { eventId: nextId('said'), at: NOON, producer: 'test' };
  return fact(type, orderId, payload, about) as Event;
}

const underWay = (id: string, kind: keyof typeof CONTENTS) =>
  movedTo(placedOrder({ content: { ...CONTENTS[kind], id } }), 'PROCESSING');

test('an order that is paid and needs nothing more is CONFIRMED and COMPLETED at once', async () => {
  const { store, deliver, order, announced } = setUp();
  store.seed(underWay('a', 'items'));
  await deliver(says('payment.authorized', 'a', PAID));
  assert.equal(order('a').status, 'COMPLETED');
  assert.deepEqual(announced(), ['a order.confirmed', 'a order.completed']);
});

test('an order for a restaurant waits for it, and one to be delivered without a restaurant asks for a rider', async () => {
  const { store, deliver, order, announced } = setUp();
  store.seed(underWay('a', 'everything'), underWay('b', 'delivery'));
  await deliver(says('payment.authorized', 'a', PAID), says('payment.authorized', 'b', PAID));
  assert.deepEqual([order('a').status, order('b').status], ['CONFIRMED', 'CONFIRMED']);
  assert.deepEqual(announced(), ['a order.confirmed', 'b order.confirmed', 'b rider.requested']);
});

test('what is reserved waits for its payment, and what costs nothing does not', async () => {
  const { store, deliver, order } = setUp();
  store.seed(underWay('a', 'items'), underWay('free', 'items'));
  await deliver(
    says('inventory.reserved', 'a', { items: [], amountDue: '12.50' }),
    says('inventory.reserved', 'free', { items: [], amountDue: '0.00' }),
  );
  assert.deepEqual([order('a').status, order('free').status], ['PROCESSING', 'COMPLETED']);
});

test('no stock and no money are reasons to fail, and each is told apart', async () => {
  const { store, deliver, order } = setUp();
  store.seed(underWay('a', 'items'), underWay('b', 'items'));
  await deliver(
    says('inventory.rejected', 'a', { reason: 'OUT_OF_STOCK', items: [] }),
    says('payment.failed', 'b', { reason: 'CARD_DECLINED' }),
  );
  const reason = (id: string) => (order(id) as { reason?: string }).reason;
  assert.deepEqual([reason('a'), reason('b')], ['OUT_OF_STOCK', 'PAYMENT_DECLINED']);
});

test('a payment that comes after the order was cancelled is noted, moves nothing and completes nothing', async () => {
  const { store, deliver, order, announced } = setUp();
  const cancelled = { ...underWay('a', 'items'), status: 'CANCELLED' } as Order;
  store.seed(cancelled);
  await deliver(says('payment.authorized', 'a', PAID));
  await deliver(says('payment.authorized', 'a', PAID));
  assert.equal(order('a').status, 'CANCELLED');
  assert.deepEqual(announced(), ['a order.noted']);
});

test('other checks take their time, as a timer, and then the order is CONFIRMED', async () => {
  const { store, set, deliver, order, queue } = setUp({ checksMs: 2_000 });
  store.seed(underWay('a', 'restaurant'));
  await deliver(says('payment.authorized', 'a', PAID));
  assert.equal(order('a').status, 'PROCESSING');
  assert.deepEqual(set, [{ kind: 'checks', orderId: 'a', dueAt: NOON + 2_000 }]);
  assert.equal((await queue.size()).waiting, 1);
  await deliver(says('timer.checks', 'a', { dueAt: new Date(NOON + 2_000).toISOString() }));
  assert.equal(order('a').status, 'CONFIRMED');
});

test('delivered five times, a payment confirms once', async () => {
  const { store, deliver, announced } = setUp();
  store.seed(underWay('a', 'delivery'));
  const paid = says('payment.authorized', 'a', PAID);
  for (let n = 0; n < 5; n++) await deliver(paid, paid);
  assert.deepEqual(announced(), ['a order.confirmed', 'a rider.requested']);
});
