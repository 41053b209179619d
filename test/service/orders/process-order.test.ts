/** Tests of starting dispatched orders, and of completing orders that have nothing to fulfil. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { completeConsumer, startConsumer } from '../../../internal/service/orders/process-order.ts';
import { dispatcher } from '../../../internal/service/scheduling/dispatch-due.ts';
import { scheduleConsumer } from '../../../internal/service/scheduling/schedule-orders.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import {
  after,
  CONTENTS,
  createdEvent,
  DEADLINES,
  movedTo,
  nextId,
  placedOrder,
  processingEvent,
  readyEvent,
} from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { memoryTimers } from '../../support/payments.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';

const LATER = NOON + 60_000;

function setUp() {
  const clock = manualClock();
  const store = memoryStore();
  const queue = memoryQueue(clock);
  const log = recordingLog();
  const meter = recordingMeter();
  const eventIdFor = (name: string) => `derived from ${name}`;
  const timers = memoryTimers();
  const deps = { ...store, clock, log, meter, queue, timers, eventIdFor, newEventId: () => nextId('event') };
  const start = subscriptionOf(deps, startConsumer(deps));
  const complete = subscriptionOf(deps, completeConsumer(deps));
  const settle = async () => {};
  return {
    deps,
    clock,
    store,
    queue,
    log,
    start,
    complete,
    ready: (...events: ReturnType<typeof readyEvent>[]) =>
      start.handle({ deliveries: events.map((event) => deliveryOf(event)), settle }),
    processing: (...events: ReturnType<typeof processingEvent>[]) =>
      complete.handle({ deliveries: events.map((event) => deliveryOf(event)), settle }),
    order: (id: string) => store.tables.orders.get(id as OrderId)?.order as Order,
    announced: () => store.bus.events.map(({ eventType, orderId }) => `${orderId} ${eventType}`),
  };
}

const created = (id: string, content = {}) =>
  placedOrder({ content: { id, ...content }, scheduledAt: LATER });
const started = (id: string, content = {}) => movedTo(created(id, content), 'PROCESSING');

test('a dispatched order becomes PROCESSING, and the event has the trace of its request', async () => {
  const { store, ready, order, announced } = setUp();
  store.seed(created('a'));
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  await ready({ ...readyEvent('a', LATER), traceparent });
  assert.deepEqual([order('a').status, order('a').version], ['PROCESSING', 2]);
  assert.deepEqual(announced(), ['a order.processing']);
  assert.deepEqual(
    [store.bus.events[0]?.producer, store.bus.events[0]?.traceparent],
    ['processing-service', traceparent],
  );
});

test('an order with several order.ready events, of one id or of different ids, starts once', async () => {
  const { store, ready, order, announced } = setUp();
  store.seed(created('a'));
  await ready(readyEvent('a', LATER), readyEvent('a', LATER, 'another id'));
  await ready(readyEvent('a', LATER));
  await ready(readyEvent('a', LATER, 'a third id'));
  assert.deepEqual([order('a').version, announced()], [2, ['a order.processing']]);
});

test('the start of a replaced schedule is refused, and the order is added to the queue for its new time', async () => {
  const { store, ready, order, queue, announced, log } = setUp();
  store.seed(
    after(created('a'), { type: 'rescheduled', at: NOON, scheduledAt: LATER + 5, dueAt: LATER + 5 }),
  );
  await ready(readyEvent('a', LATER));
  assert.deepEqual([order('a').status, announced()], ['CREATED', []]);
  assert.equal(queue.scoreOf('a' as OrderId), LATER + 5);
  assert.deepEqual(
    log.at('info').map(({ fields }) => fields.refused),
    ['STALE_SCHEDULE'],
  );
});

test('a stale schedule does not move an order that is already in the queue', async () => {
  const { store, ready, queue } = setUp();
  store.seed(
    after(created('a'), { type: 'rescheduled', at: NOON, scheduledAt: LATER + 5, dueAt: LATER + 5 }),
  );
  await queue.schedule([{ orderId: 'a' as OrderId, dueAt: LATER + 77 }]);
  await ready(readyEvent('a', LATER));
  assert.equal(queue.scoreOf('a' as OrderId), LATER + 77);
});

test('a cancelled order is neither started nor added to the queue', async () => {
  const { store, ready, order, queue, announced } = setUp();
  store.seed(after(created('a'), { type: 'cancelled', at: NOON }));
  await ready(readyEvent('a', LATER), readyEvent('a', LATER - 1));
  assert.deepEqual([order('a').status, announced(), (await queue.size()).waiting], ['CANCELLED', [], 0]);
});

test('an event of an unknown order is skipped, and the other orders start', async () => {
  const { store, ready, announced, log } = setUp();
  store.seed(created('a'));
  await ready(readyEvent('ghost', LATER), readyEvent('a', LATER));
  assert.deepEqual(announced(), ['a order.processing']);
  assert.equal(log.at('warn').length, 1);
});

test('an order that has nothing to fulfil is COMPLETED', async () => {
  const { store, processing, order, announced } = setUp();
  store.seed(started('a'));
  await processing(processingEvent('a'));
  assert.equal(order('a').status, 'COMPLETED');
  assert.deepEqual(announced(), ['a order.completed']);
});

test('an order with items stays PROCESSING', async () => {
  const { store, processing, order, announced } = setUp();
  store.seed(started('a', CONTENTS.items));
  await processing(processingEvent('a'));
  assert.deepEqual([order('a').status, announced()], ['PROCESSING', []]);
});

test('a redelivered event does not move a completed order back', async () => {
  const { store, ready, processing, order } = setUp();
  store.seed(created('a'));
  await ready(readyEvent('a', LATER));
  await processing(processingEvent('a'), processingEvent('a'));
  await ready(readyEvent('a', LATER, 'redelivered'));
  await processing(processingEvent('a'));
  assert.deepEqual([order('a').status, order('a').version], ['COMPLETED', 3]);
});

test('an order passes through scheduling, start and completion at its time', async () => {
  const { deps, store, queue, clock, order, start, complete, log } = setUp();
  const dispatch = dispatcher(
    {
      ...deps,
      bus: store.bus,
      orderSchedule: store.orderSchedule,
      eventIdFor: (name) => name,
      onLost: () => {},
      wake: () => {},
    },
    { intervalMs: 1_000 },
  );
  const schedule = subscriptionOf(
    deps,
    scheduleConsumer({ queue, deadlines: DEADLINES, onScheduled: () => {} }),
  );
  for (const subscription of [schedule, start, complete]) await store.bus.subscribe(subscription);
  const [now, later] = [placedOrder({ content: { id: 'now' } }), created('later')];
  store.seed(now, later);
  await store.bus.publish([createdEvent(now), createdEvent(later)]);
  const round = async () => {
    await store.bus.deliver();
    await dispatch.runOnce();
    await dispatch.drain();
    await store.bus.deliver();
  };
  await round();
  assert.deepEqual([order('now').status, order('later').status], ['COMPLETED', 'CREATED']);
  clock.advance(60_000);
  await round();
  await round();
  assert.deepEqual(
    ['now', 'later'].map((id) =>
      order(id).timeline.map((entry) => ('status' in entry ? entry.status : entry.fact)),
    ),
    [
      ['CREATED', 'PROCESSING', 'COMPLETED'],
      ['CREATED', 'PROCESSING', 'COMPLETED'],
    ],
  );
  assert.deepEqual((await queue.size()).waiting, 0);
  assert.deepEqual(log.at('warn', 'error'), []);
});
