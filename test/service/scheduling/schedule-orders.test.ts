/** Tests of scheduling: orders and deadlines that events add to the due queue, move, or remove. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deadlineOf } from '../../../internal/domain/deadlines.ts';
import { isFinal, type Milestone, type Order, type OrderId } from '../../../internal/domain/order.ts';
import { scheduleConsumer, scheduleOrders } from '../../../internal/service/scheduling/schedule-orders.ts';
import {
  after,
  CONTENTS,
  cancelledEvent,
  changedEvent,
  createdEvent,
  DEADLINES,
  JOURNEYS,
  type Kind,
  movedAt,
  placedOrder,
  processingEvent,
  rescheduledEvent,
} from '../../support/builders.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';

const LATER = NOON + 60_000;
const order = (id: string) => placedOrder({ content: { id }, scheduledAt: LATER });

type Scheduled = Parameters<typeof scheduleOrders>[1][number];
const changed = (moved: Order) => changedEvent(moved) as Scheduled;

function setUp(deadlines = DEADLINES) {
  const queue = memoryQueue(manualClock());
  const notified: number[] = [];
  const deps = { queue, deadlines, onScheduled: (earliest: number) => void notified.push(earliest) };
  return {
    notified,
    queue,
    schedule: (...events: Parameters<typeof scheduleOrders>[1]) => scheduleOrders(deps, events),
    consumer: scheduleConsumer(deps),
    score: (id: string) => queue.scoreOf(id as OrderId),
    deadline: (id: string) => queue.scoreOf(id as OrderId, 'deadline'),
  };
}

test('a created order waits for its time, and the loop is notified of the earliest time', async () => {
  const { schedule, score, notified } = setUp();
  await schedule(
    createdEvent(order('a')),
    createdEvent(placedOrder({ content: { id: 'b' }, scheduledAt: LATER + 9 })),
  );
  assert.deepEqual([score('a'), score('b')], [LATER, LATER + 9]);
  assert.deepEqual(notified, [LATER]);
});

test('an order that is rescheduled in the same batch waits for its last time', async () => {
  const { schedule, score } = setUp();
  const a = order('a');
  await schedule(createdEvent(a), rescheduledEvent(a, LATER + 1), rescheduledEvent(a, LATER + 2));
  assert.equal(score('a'), LATER + 2);
});

test('an order that is cancelled in the same batch does not wait', async () => {
  const { schedule, queue, notified } = setUp();
  const a = order('a');
  await schedule(createdEvent(a), rescheduledEvent(a, LATER + 1), cancelledEvent(a));
  assert.equal((await queue.size()).waiting, 0);
  assert.deepEqual(notified, [], 'the loop is not woken');
});

test('a waiting order is removed when it is cancelled, and moved when it is rescheduled', async () => {
  const { schedule, score } = setUp();
  const [a, b] = [order('a'), order('b')];
  await schedule(createdEvent(a), createdEvent(b));
  await schedule(cancelledEvent(a), rescheduledEvent(b, LATER - 5));
  assert.deepEqual([score('a'), score('b')], [undefined, LATER - 5]);
});

test('a batch that is handled twice leaves the queue unchanged', async () => {
  const { schedule, score, queue } = setUp();
  const [a, b] = [order('a'), order('b')];
  const batch = [createdEvent(a), createdEvent(b), rescheduledEvent(b, LATER + 1), cancelledEvent(a)];
  await schedule(...batch);
  await schedule(...batch);
  assert.deepEqual([score('b'), (await queue.size()).waiting], [LATER + 1, 1]);
});

test('creation, rescheduling and cancellation are read from one topic, where they keep their order', () => {
  const { topics, types } = setUp().consumer;
  assert.deepEqual(topics, ['raw.order-events']);
  for (const type of ['order.cancelled', 'order.created', 'order.rescheduled'])
    assert.ok((types as readonly string[]).includes(type));
});

/** An order that reached each of these statuses a minute after the previous one. */
function walked(kind: Kind, ...statuses: Exclude<Milestone, 'CREATED'>[]): Order {
  return statuses.reduce(
    (moved, to, index) => movedAt(moved, NOON + (index + 1) * 60_000, to),
    placedOrder({ content: { ...CONTENTS[kind], id: 'a' } }),
  );
}
const WAY = [
  'PROCESSING',
  'CONFIRMED',
  'ACCEPTED',
  'PREPARING',
  'RIDER_ASSIGNED',
  'OUT_FOR_DELIVERY',
] as const;
const upTo = (status: (typeof WAY)[number]) => walked('everything', ...WAY.slice(0, WAY.indexOf(status) + 1));

for (const [status, limit] of [
  ['PROCESSING', DEADLINES.processing],
  ['CONFIRMED', DEADLINES.acceptance],
  ['ACCEPTED', DEADLINES.rider],
  ['RIDER_ASSIGNED', DEADLINES.pickUp],
  ['OUT_FOR_DELIVERY', DEADLINES.delivery],
] as const) {
  test(`an order that becomes ${status} has one deadline, that of its status, counted from now`, async () => {
    const { schedule, deadline, notified, queue } = setUp();
    await queue.schedule([{ orderId: 'a' as OrderId, kind: 'deadline', dueAt: NOON + 7 }]);
    const order = upTo(status);
    await schedule(changed(order));
    assert.equal(deadline('a'), order.updatedAt + limit);
    assert.deepEqual(notified, [order.updatedAt + limit]);
    assert.equal((await queue.size()).waiting, 1, 'the earlier deadline was moved');
  });
}

test('the deadline in the queue is never later than the order’s deadline, for every kind of order and every status', async () => {
  const tight = { ...DEADLINES, acceptance: 2_000, rider: 1_000, collection: 500 };
  for (const deadlines of [DEADLINES, tight])
    for (const kind of Object.keys(JOURNEYS) as Kind[]) {
      const { queue, deadline, consumer } = setUp(deadlines);
      const way = JOURNEYS[kind].slice(1) as Exclude<Milestone, 'CREATED'>[];
      for (let steps = 1; steps <= way.length; steps += 1) {
        const order = walked(kind, ...way.slice(0, steps));
        const event = changed(order);
        // The consumer gets only the types it subscribes to.
        if (consumer.types.includes(event.eventType)) await consumer.perform?.([event]);
        const latest = deadlineOf(order, deadlines)?.dueAt;
        const name = `${kind} ${order.status}`;
        if (latest !== undefined) assert.ok((deadline('a') ?? Number.POSITIVE_INFINITY) <= latest, name);
        if (isFinal(order.status)) assert.equal((await queue.size()).waiting, 0, name);
      }
    }
});

test('the last event of an order in a batch decides its deadline, and a final status removes it', async () => {
  const { schedule, deadline, notified } = setUp();
  const order = upTo('CONFIRMED');
  await schedule(changed(upTo('PROCESSING')), changed(order), changed(upTo('RIDER_ASSIGNED')));
  const dueAt = upTo('RIDER_ASSIGNED').updatedAt + DEADLINES.pickUp;
  assert.deepEqual([deadline('a'), notified], [dueAt, [dueAt]]);
  await schedule(changed(upTo('OUT_FOR_DELIVERY')), changed(walked('everything', ...WAY, 'DELIVERED')));
  assert.equal(deadline('a'), undefined);
});

for (const [status, end] of [
  ['COMPLETED', walked('items', 'PROCESSING', 'CONFIRMED', 'COMPLETED')],
  ['DELIVERED', walked('everything', ...WAY, 'DELIVERED')],
  ['FAILED', after(upTo('CONFIRMED'), { type: 'failed', at: NOON, reason: 'NO_RIDER' })],
  ['REJECTED', after(upTo('CONFIRMED'), { type: 'rejected', at: NOON, reason: 'CLOSED' })],
  ['CANCELLED', after(upTo('CONFIRMED'), { type: 'cancelled', at: NOON })],
] as const) {
  test(`the deadline of an order that becomes ${status} is removed, and its other timers stay`, async () => {
    const { schedule, queue, deadline } = setUp();
    await schedule(changed(upTo('CONFIRMED')));
    await queue.schedule([{ orderId: 'a' as OrderId, kind: 'payment', dueAt: LATER }]);
    await schedule(changed(end));
    assert.equal(deadline('a'), undefined);
    assert.equal(queue.scoreOf('a' as OrderId, 'payment'), LATER);
  });
}

test('an order that failed before its scheduled time is removed', async () => {
  const { schedule, queue } = setUp();
  const waiting = order('a');
  await schedule(createdEvent(waiting));
  await schedule(changed(after(waiting, { type: 'failed', at: NOON, reason: 'NO_STOCK' })));
  assert.equal((await queue.size()).waiting, 0);
});

test('a completed plain order leaves nothing in the queue, with its events in one batch or in several', async () => {
  const { schedule, queue } = setUp();
  const steps = [walked('plain', 'PROCESSING'), walked('plain', 'PROCESSING', 'COMPLETED')].map(changed);
  await schedule(...steps);
  assert.equal((await queue.size()).waiting, 0);
  for (const step of steps) await schedule(step);
  assert.equal((await queue.size()).waiting, 0);
});

test('a started order has a deadline, which is removed when the order is cancelled', async () => {
  const { schedule, deadline, score, queue } = setUp();
  await schedule(createdEvent(order('a')), processingEvent('a'));
  assert.deepEqual([deadline('a'), score('a')], [NOON + DEADLINES.processing, undefined]);
  await schedule(cancelledEvent(order('a')));
  assert.equal((await queue.size()).waiting, 0);
});
