/** Deadlines at their edges: what waited too long is ended, what moved on is left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fact } from '../../internal/domain/announce.ts';
import type { Order, OrderId } from '../../internal/domain/order.ts';
import { subscriptionOf } from '../../internal/service/consume.ts';
import { deadlineConsumer } from '../../internal/service/expire-deadlines.ts';
import { CONTENTS, DEADLINES, type Kind, movedTo, nextId, placedOrder } from '../support/builders.ts';
import { deliveryOf, memoryQueue, memoryStore } from '../support/in-memory.ts';
import { manualClock, NOON } from '../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../support/recording-log.ts';

function setUp() {
  const clock = manualClock();
  const store = memoryStore();
  const queue = memoryQueue(clock);
  const deps = {
    ...store,
    clock,
    queue,
    log: recordingLog(),
    meter: recordingMeter(),
    newEventId: () => nextId('event'),
    deadlines: DEADLINES,
  };
  const consumer = subscriptionOf(deps, deadlineConsumer(deps));
  return {
    clock,
    store,
    queue,
    runOut: (id: string) => {
      const about = { eventId: nextId('timer'), at: clock.now(), producer: 'scheduler-worker' };
      const event = fact('timer.deadline', id, { dueAt: new Date(clock.now()).toISOString() }, about);
      return consumer.handle({ deliveries: [deliveryOf(event)], settle: async () => {} });
    },
    order: (id: string) => store.tables.orders.get(id as OrderId)?.order as Order & { reason?: string },
  };
}

const STEPS = ['PROCESSING', 'CONFIRMED', 'ACCEPTED', 'RIDER_ASSIGNED', 'OUT_FOR_DELIVERY'] as const;
const at = (kind: Kind, status: (typeof STEPS)[number], id: string) => {
  const way = STEPS.slice(0, STEPS.indexOf(status) + 1).filter(
    (step) => kind !== 'delivery' || step !== 'ACCEPTED',
  );
  return movedTo(placedOrder({ content: { ...CONTENTS[kind], id } }), ...way);
};

for (const [kind, status, after, becomes, reason] of [
  ['items', 'PROCESSING', DEADLINES.processing, 'FAILED', 'TIMED_OUT'],
  ['restaurant', 'CONFIRMED', DEADLINES.acceptance, 'REJECTED', 'NO_RESPONSE'],
  ['delivery', 'CONFIRMED', DEADLINES.rider, 'FAILED', 'NO_RIDER'],
  ['everything', 'ACCEPTED', DEADLINES.rider, 'FAILED', 'NO_RIDER'],
  ['restaurant', 'ACCEPTED', DEADLINES.collection, 'FAILED', 'NOT_COLLECTED'],
  ['everything', 'RIDER_ASSIGNED', DEADLINES.pickUp, 'FAILED', 'NOT_PICKED_UP'],
  ['everything', 'OUT_FOR_DELIVERY', DEADLINES.delivery, 'FAILED', 'NOT_DELIVERED'],
] as const) {
  test(`an order with ${kind} that is ${status} for too long is ${becomes}(${reason}), and not a millisecond sooner`, async () => {
    const { clock, store, queue, runOut, order } = setUp();
    store.seed(at(kind, status, 'a'));
    clock.advance(after - 1);
    await runOut('a');
    assert.equal(order('a').status, status);
    assert.equal(queue.scoreOf('a' as OrderId, 'deadline'), NOON + after, 'it is put back for its time');
    clock.advance(1);
    await runOut('a');
    assert.deepEqual([order('a').status, order('a').reason], [becomes, reason]);
  });
}

test('an order that waits for nothing, has ended or is not there is left alone', async () => {
  const { clock, store, runOut, order, queue } = setUp();
  store.seed(movedTo(placedOrder({ content: { id: 'plain' } }), 'PROCESSING'));
  store.seed(movedTo(placedOrder({ content: { id: 'done' } }), 'PROCESSING', 'COMPLETED'));
  clock.advance(10 * DEADLINES.collection);
  for (const id of ['plain', 'done', 'nobody']) await runOut(id);
  assert.deepEqual([order('plain').status, order('done').status], ['PROCESSING', 'COMPLETED']);
  assert.equal((await queue.size()).waiting, 0);
});
