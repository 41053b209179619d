/** Tests of orders that become CONFIRMED, COMPLETED or FAILED after the answers of inventory and payment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fact } from '../../../internal/domain/announce.ts';
import type { Event, EventType, Payload } from '../../../internal/domain/events.ts';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { confirmConsumer } from '../../../internal/service/orders/confirm-orders.ts';
import type { Timer } from '../../../internal/service/scheduling/ports.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import { CONTENTS, movedTo, nextId, placedOrder } from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
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
      dueAt: async () => new Map(set.map(({ orderId, dueAt }) => [orderId, dueAt])),
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

function eventOf<T extends EventType>(type: T, orderId: string, payload: Payload<T>): Event {
  return fact(type, orderId, payload, { eventId: nextId('event'), at: NOON, producer: 'test' }) as Event;
}

const processing = (id: string, kind: keyof typeof CONTENTS) =>
  movedTo(placedOrder({ content: { ...CONTENTS[kind], id } }), 'PROCESSING');

test('a paid order without restaurant and delivery is CONFIRMED and COMPLETED at once', async () => {
  const { store, deliver, order, announced } = setUp();
  store.seed(processing('a', 'items'));
  await deliver(eventOf('payment.authorized', 'a', PAID));
  assert.equal(order('a').status, 'COMPLETED');
  assert.deepEqual(announced(), ['a order.confirmed', 'a order.completed']);
});

test('a confirmed order waits for its restaurant, and one without a restaurant requests a rider', async () => {
  const { store, deliver, order, announced } = setUp();
  store.seed(processing('a', 'everything'), processing('b', 'delivery'));
  await deliver(eventOf('payment.authorized', 'a', PAID), eventOf('payment.authorized', 'b', PAID));
  assert.deepEqual([order('a').status, order('b').status], ['CONFIRMED', 'CONFIRMED']);
  assert.deepEqual(announced(), ['a order.confirmed', 'b order.confirmed', 'b rider.requested']);
});

test('an order with reserved items waits for its payment, unless it costs nothing', async () => {
  const { store, deliver, order } = setUp();
  store.seed(processing('a', 'items'), processing('free', 'items'));
  await deliver(
    eventOf('inventory.reserved', 'a', { items: [], amountDue: '12.50' }),
    eventOf('inventory.reserved', 'free', { items: [], amountDue: '0.00' }),
  );
  assert.deepEqual([order('a').status, order('free').status], ['PROCESSING', 'COMPLETED']);
});

test('an order fails with OUT_OF_STOCK or PAYMENT_DECLINED', async () => {
  const { store, deliver, order } = setUp();
  store.seed(processing('a', 'items'), processing('b', 'items'));
  await deliver(
    eventOf('inventory.rejected', 'a', { reason: 'OUT_OF_STOCK', items: [] }),
    eventOf('payment.failed', 'b', { reason: 'CARD_DECLINED' }),
  );
  const reason = (id: string) => (order(id) as { reason?: string }).reason;
  assert.deepEqual([reason('a'), reason('b')], ['OUT_OF_STOCK', 'PAYMENT_DECLINED']);
});

test('an abandoned payment says nothing to its order, which has ended', async () => {
  const { store, deliver, order, announced } = setUp();
  const cancelled = { ...processing('a', 'items'), status: 'CANCELLED' } as Order;
  store.seed(cancelled);
  await deliver(eventOf('payment.failed', 'a', { reason: 'ABANDONED' }));
  assert.deepEqual([order('a'), announced()], [cancelled, []]);
});

test('a payment that arrives after the order was cancelled is noted, and the order stays CANCELLED', async () => {
  const { store, deliver, order, announced } = setUp();
  const cancelled = { ...processing('a', 'items'), status: 'CANCELLED' } as Order;
  store.seed(cancelled);
  await deliver(eventOf('payment.authorized', 'a', PAID));
  await deliver(eventOf('payment.authorized', 'a', PAID));
  assert.equal(order('a').status, 'CANCELLED');
  assert.deepEqual(announced(), ['a order.noted']);
});

test('a paid order waits for the timer of the other checks before it is CONFIRMED', async () => {
  const { store, set, deliver, order, queue, clock } = setUp({ checksMs: 2_000 });
  store.seed(processing('a', 'restaurant'));
  await deliver(eventOf('payment.authorized', 'a', PAID));
  assert.equal(order('a').status, 'PROCESSING');
  assert.deepEqual(set, [{ kind: 'checks', orderId: 'a', dueAt: NOON + 2_000 }]);
  assert.equal((await queue.size()).waiting, 1);
  const timer = (dueAt: number) => eventOf('timer.checks', 'a', { dueAt: new Date(dueAt).toISOString() });
  await deliver(timer(NOON + 2_000), timer(NOON), timer(NOON + 3e11));
  assert.equal(order('a').status, 'PROCESSING', 'whatever a timer says, the stored time counts');
  assert.deepEqual(set.at(-1), { kind: 'checks', orderId: 'a', dueAt: NOON + 2_000 });
  clock.advance(2_000);
  await deliver(timer(NOON + 2_000));
  assert.equal(order('a').status, 'CONFIRMED');
});

test('the timer of the other checks that was never set confirms no unpaid order', async () => {
  const { store, deliver, order, clock } = setUp({ checksMs: 2_000 });
  store.seed(processing('a', 'items'));
  clock.advance(60_000);
  await deliver(eventOf('timer.checks', 'a', { dueAt: new Date(NOON).toISOString() }));
  assert.equal(order('a').status, 'PROCESSING');
});

test('a payment event that is delivered five times confirms the order once', async () => {
  const { store, deliver, announced } = setUp();
  store.seed(processing('a', 'delivery'));
  const paid = eventOf('payment.authorized', 'a', PAID);
  for (let n = 0; n < 5; n++) await deliver(paid, paid);
  assert.deepEqual(announced(), ['a order.confirmed', 'a rider.requested']);
});
