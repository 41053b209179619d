/** Tests of deadlines that pass: orders that end, orders that have moved on, and races between the two. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fact } from '../../../internal/domain/announce.ts';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import type { OrderCommand } from '../../../internal/domain/order-decisions.ts';
import { scheduleName, toRfc3339 } from '../../../internal/domain/schedule.ts';
import { decideOrders } from '../../../internal/service/decide-orders.ts';
import { deadlineConsumer } from '../../../internal/service/orders/expire-deadlines.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import {
  CONTENTS,
  DEADLINES,
  JOURNEYS,
  type Kind,
  movedAt,
  movedTo,
  nextId,
  placedOrder,
  type Step,
} from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';

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
    deps,
    /** Delivers the event of a deadline's timer that ran out at `dueAt` by the scheduler's clock. */
    runOut: (id: string, dueAt = clock.now(), times = 1) => {
      const origin = {
        eventId: `deadline:${scheduleName(id, dueAt)}`,
        at: dueAt,
        producer: 'scheduler-worker',
      };
      const event = fact('timer.deadline', id, { dueAt: toRfc3339(dueAt) }, origin);
      const deliveries = Array.from({ length: times }, () => deliveryOf(event));
      return consumer.handle({ deliveries, settle: async () => {} });
    },
    /** Applies a command to the order in a transaction of its own. */
    move: (id: string, command: OrderCommand) =>
      store.transactions.run(async (tx) => {
        const orders = await tx.lockOrders([id as OrderId]);
        const commands = [{ id: id as OrderId, command }];
        await tx.appendEvents((await decideOrders(deps, tx, 'test', orders, commands)).events);
      }),
    announced: () => store.bus.events.map(({ eventType }) => eventType),
    order: (id: string) => store.tables.orders.get(id as OrderId)?.order as Order & { reason?: string },
  };
}

const at = (kind: Kind, status: Step, id: string) =>
  movedTo(
    placedOrder({ content: { ...CONTENTS[kind], id } }),
    ...(JOURNEYS[kind].slice(1, JOURNEYS[kind].indexOf(status) + 1) as Step[]),
  );

for (const [kind, status, after, becomes, reason] of [
  ['items', 'PROCESSING', DEADLINES.processing, 'FAILED', 'TIMED_OUT'],
  ['restaurant', 'CONFIRMED', DEADLINES.acceptance, 'REJECTED', 'NO_RESPONSE'],
  ['delivery', 'CONFIRMED', DEADLINES.rider, 'FAILED', 'NO_RIDER'],
  ['toCustomer', 'CONFIRMED', DEADLINES.rider, 'FAILED', 'NO_RIDER'],
  ['everything', 'CONFIRMED', DEADLINES.acceptance, 'REJECTED', 'NO_RESPONSE'],
  ['everything', 'ACCEPTED', DEADLINES.rider, 'FAILED', 'NO_RIDER'],
  ['everything', 'PREPARING', DEADLINES.rider, 'FAILED', 'NO_RIDER'],
  ['restaurant', 'PREPARING', DEADLINES.collection, 'FAILED', 'NOT_COLLECTED'],
  ['restaurant', 'ACCEPTED', DEADLINES.collection, 'FAILED', 'NOT_COLLECTED'],
  ['everything', 'RIDER_ASSIGNED', DEADLINES.pickUp, 'FAILED', 'NOT_PICKED_UP'],
  ['everything', 'OUT_FOR_DELIVERY', DEADLINES.delivery, 'FAILED', 'NOT_DELIVERED'],
] as const) {
  test(`an order of kind ${kind} that is ${status} becomes ${becomes}(${reason}) at its deadline, and not a millisecond sooner`, async () => {
    const { clock, store, queue, runOut, order, announced, deps } = setUp();
    store.seed(at(kind, status, 'a'));
    clock.advance(after - 1);
    await runOut('a');
    assert.deepEqual([order('a').status, deps.meter.total('deadlines_expired')], [status, 0]);
    assert.equal(queue.scoreOf('a' as OrderId, 'deadline'), NOON + after, 'its timer is set again');
    clock.advance(1);
    await runOut('a');
    assert.deepEqual([order('a').status, order('a').reason], [becomes, reason]);
    assert.equal(deps.meter.total('deadlines_expired'), 1);
    assert.deepEqual(announced(), [becomes === 'REJECTED' ? 'order.rejected' : 'order.failed']);
  });
}

test('an order that moved on just before its deadline gets the timer of its new deadline', async () => {
  const { clock, store, queue, runOut, order } = setUp();
  const confirmed = at('everything', 'CONFIRMED', 'a');
  const dueAt = NOON + DEADLINES.acceptance;
  store.seed(movedAt(confirmed, dueAt - 1, 'ACCEPTED'));
  clock.advance(DEADLINES.acceptance);
  await runOut('a');
  assert.equal(order('a').status, 'ACCEPTED');
  assert.equal(queue.scoreOf('a' as OrderId, 'deadline'), dueAt - 1 + DEADLINES.rider);
});

for (const first of ['the customer', 'the deadline']) {
  test(`an order that is cancelled at its deadline has one final status if ${first} comes first`, async () => {
    const { clock, store, runOut, move, order, announced, queue } = setUp();
    store.seed(at('everything', 'ACCEPTED', 'a'));
    clock.advance(DEADLINES.rider);
    const cancel = () => move('a', { type: 'cancel' });
    const expire = () => runOut('a');
    await Promise.all(first === 'the customer' ? [cancel(), expire()] : [expire(), cancel()]);
    const [end, ...others] = announced();
    assert.deepEqual(others, []);
    assert.deepEqual(
      [order('a').status, order('a').timeline.at(-1)],
      [end === 'order.failed' ? 'FAILED' : 'CANCELLED', { status: order('a').status, at: clock.now() }],
    );
    assert.equal((await queue.size()).waiting, 0);
  });
}

test('an order that gets a rider while its deadline is handled does not fail', async () => {
  const { clock, store, deps, runOut, move, order, announced } = setUp();
  store.seed(at('delivery', 'CONFIRMED', 'a'));
  clock.advance(DEADLINES.rider);
  // Runs between the first read of the order and its lock.
  const run = deps.transactions.run;
  Object.assign(deps.transactions, {
    async run(work: Parameters<typeof run>[0]) {
      deps.transactions.run = run;
      await move('a', { type: 'advance', to: 'RIDER_ASSIGNED', by: 'fact' });
      return run(work);
    },
  });
  await runOut('a');
  assert.deepEqual([order('a').status, announced()], ['RIDER_ASSIGNED', ['order.rider_assigned']]);
});

test('a deadline whose event is delivered many times is applied once', async () => {
  const { clock, store, runOut, order, announced } = setUp();
  store.seed(at('restaurant', 'CONFIRMED', 'a'));
  clock.advance(DEADLINES.acceptance);
  await runOut('a', clock.now(), 5);
  for (let again = 0; again < 5; again += 1) await runOut('a');
  // A timer that was claimed twice has another due time, and so another event id.
  await runOut('a', clock.now() + 1);
  assert.deepEqual([order('a').version, announced()], [4, ['order.rejected']]);
});

test('a timer that the scheduler’s clock fired a little early runs out again as another event, and then ends the order', async () => {
  const { clock, store, runOut, order, queue } = setUp();
  store.seed(at('items', 'PROCESSING', 'a'));
  const dueAt = NOON + DEADLINES.processing;
  clock.advance(DEADLINES.processing - 15);
  for (let again = dueAt; again < dueAt + 30; again += 10) {
    assert.equal(order('a').status, 'PROCESSING');
    await runOut('a', again);
    const next = queue.scoreOf('a' as OrderId, 'deadline');
    if (order('a').status === 'PROCESSING') assert.equal(next, again + 10);
    clock.advance(10);
  }
  assert.equal(order('a').status, 'FAILED');
});

test('a deadline whose timer ran out early, was set again and was lost then ends the order when the timer is rebuilt', async () => {
  const { clock, store, runOut, order } = setUp();
  store.seed(at('items', 'PROCESSING', 'a'));
  const dueAt = NOON + DEADLINES.processing;
  clock.advance(DEADLINES.processing - 1);
  await runOut('a', dueAt);
  assert.equal(order('a').status, 'PROCESSING');
  clock.advance(1);
  await runOut('a', dueAt);
  assert.equal(order('a').status, 'FAILED');
});

for (const [what, offset] of [
  ['far in the future', 9 * 365 * 24 * 3_600_000],
  ['at the deadline itself', DEADLINES.acceptance],
  ['long past', -365 * 24 * 3_600_000],
] as const) {
  test(`a forged timer whose due time is ${what} ends no order early, and its deadline still comes`, async () => {
    const { clock, store, runOut, order, queue } = setUp();
    store.seed(at('restaurant', 'CONFIRMED', 'a'));
    await runOut('a', NOON + offset);
    assert.equal(order('a').status, 'CONFIRMED');
    const next = queue.scoreOf('a' as OrderId, 'deadline') ?? 0;
    assert.ok(next - NOON - DEADLINES.acceptance <= 10, 'the timer runs out at its own time');
    clock.advance(DEADLINES.acceptance + 10);
    await runOut('a', next);
    assert.equal(order('a').status, 'REJECTED');
  });
}

test('an early deadline stays unprocessed while the queue is unreachable', async () => {
  const { clock, store, deps, queue, runOut, order } = setUp();
  store.seed(at('delivery', 'CONFIRMED', 'a'));
  clock.advance(DEADLINES.acceptance);
  const schedule = queue.schedule;
  Object.assign(deps.queue, {
    schedule: async () => {
      throw new TiffinError('UNAVAILABLE', 'Redis cannot be reached');
    },
  });
  await assert.rejects(runOut('a'), { code: 'UNAVAILABLE' });
  Object.assign(deps.queue, { schedule });
  await runOut('a');
  assert.equal(queue.scoreOf('a' as OrderId, 'deadline'), NOON + DEADLINES.rider);
  clock.advance(DEADLINES.rider - DEADLINES.acceptance);
  await runOut('a');
  assert.equal(order('a').status, 'FAILED');
});

test('a deadline of an order that has none, has ended or is unknown has no effect', async () => {
  const { clock, store, runOut, order, queue } = setUp();
  store.seed(placedOrder({ content: { id: 'waits' } }));
  store.seed(movedTo(placedOrder({ content: { id: 'done' } }), 'PROCESSING', 'COMPLETED'));
  clock.advance(10 * DEADLINES.collection);
  for (const id of ['waits', 'done', 'nobody']) await runOut(id);
  assert.deepEqual([order('waits').status, order('done').status], ['CREATED', 'COMPLETED']);
  assert.equal((await queue.size()).waiting, 0);
});
