/** Scheduling: what is announced waits in the due queue, and the last word on an order counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import { scheduleConsumer, scheduleOrders } from '../../internal/service/schedule-orders.ts';
import {
  cancelledEvent,
  createdEvent,
  DEADLINES,
  placedOrder,
  processingEvent,
  rescheduledEvent,
} from '../support/builders.ts';
import { memoryQueue } from '../support/in-memory.ts';
import { manualClock, NOON } from '../support/manual-clock.ts';

const LATER = NOON + 60_000;
const order = (id: string) => placedOrder({ content: { id }, scheduledAt: LATER });

function setUp() {
  const queue = memoryQueue(manualClock());
  const told: number[] = [];
  const deps = { queue, deadlines: DEADLINES, onScheduled: (earliest: number) => void told.push(earliest) };
  return {
    told,
    queue,
    schedule: (...events: Parameters<typeof scheduleOrders>[1]) => scheduleOrders(deps, events),
    consumer: scheduleConsumer(deps),
    score: (id: string) => queue.scoreOf(id as OrderId),
    deadline: (id: string) => queue.scoreOf(id as OrderId, 'deadline'),
  };
}

test('a created order waits for its time, and the loop is told the earliest', async () => {
  const { schedule, score, told } = setUp();
  await schedule(
    createdEvent(order('a')),
    createdEvent(placedOrder({ content: { id: 'b' }, scheduledAt: LATER + 9 })),
  );
  assert.deepEqual([score('a'), score('b')], [LATER, LATER + 9]);
  assert.deepEqual(told, [LATER]);
});

test('an order that is rescheduled in the same batch waits for its last time', async () => {
  const { schedule, score } = setUp();
  const a = order('a');
  await schedule(createdEvent(a), rescheduledEvent(a, LATER + 1), rescheduledEvent(a, LATER + 2));
  assert.equal(score('a'), LATER + 2);
});

test('an order that is cancelled in the same batch does not wait', async () => {
  const { schedule, queue, told } = setUp();
  const a = order('a');
  await schedule(createdEvent(a), rescheduledEvent(a, LATER + 1), cancelledEvent(a));
  assert.equal((await queue.size()).waiting, 0);
  assert.deepEqual(told, [], 'there is nothing to wake for');
});

test('an order that is cancelled or rescheduled later leaves its place', async () => {
  const { schedule, score } = setUp();
  const [a, b] = [order('a'), order('b')];
  await schedule(createdEvent(a), createdEvent(b));
  await schedule(cancelledEvent(a), rescheduledEvent(b, LATER - 5));
  assert.deepEqual([score('a'), score('b')], [undefined, LATER - 5]);
});

test('a batch that is handled twice leaves the queue as it was', async () => {
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

test('an order under way has a deadline, which leaves the queue with it', async () => {
  const { schedule, deadline, score, queue } = setUp();
  await schedule(createdEvent(order('a')), processingEvent('a'));
  assert.deepEqual([deadline('a'), score('a')], [NOON + DEADLINES.processing, undefined]);
  await schedule(cancelledEvent(order('a')));
  assert.equal((await queue.size()).waiting, 0);
});
