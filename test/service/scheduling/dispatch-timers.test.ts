/** Timers leave the due queue with the orders, each as its own event. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import { parseEvent } from '../../../internal/domain/events.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import type { TimerKind } from '../../../internal/domain/schedule.ts';
import { due, heldBus, LEASE_MS, dispatching as setUp } from '../../support/dispatching.ts';
import { NOON } from '../../support/manual-clock.ts';
import { turns } from '../../support/turns.ts';

const timer = (orderId: string, kind: TimerKind, dueAt = NOON) => ({
  orderId: orderId as OrderId,
  kind,
  dueAt,
});

test('timers that have run out are published together with due orders and removed from the queue', async () => {
  const { bus, calls } = heldBus();
  const { wait, queue, runOnce, drain, waiting } = setUp({ changes: { bus } });
  await wait(due('a'));
  await queue.schedule([timer('b', 'eta'), timer('c', 'rider', NOON + 50)]);
  assert.equal(await runOnce(), 50, 'the next timer ends the sleep');
  await turns();
  assert.deepEqual(
    calls.map(({ ids }) => ids),
    [['a', 'b']],
  );
  assert.equal(await waiting(), 3, 'no member is removed before the stream has confirmed it');
  calls[0]?.end();
  await drain();
  assert.equal(await waiting(), 1);
});

test('every kind of timer has its own event type, and the event id is derived from kind, order and due time', async () => {
  const { queue, pass, store, clock } = setUp();
  const kinds = ['deadline', 'checks', 'logic', 'rider', 'eta', 'notification', 'payment'] as const;
  await queue.schedule(kinds.map((kind, index) => timer('a', kind, NOON - 10 + index)));
  clock.advance(4);
  await pass();
  assert.deepEqual(
    store.bus.events.map(({ eventType, eventId }) => [eventType, eventId]),
    kinds.map((kind, index) => [`timer.${kind}`, `event of ${kind}:a@${NOON - 10 + index}`]),
  );
  assert.deepEqual(store.bus.events[0], {
    eventId: `event of deadline:a@${NOON - 10}`,
    eventType: 'timer.deadline',
    schemaVersion: 1,
    occurredAt: '2030-01-01T12:00:00.004Z',
    producedAt: '2030-01-01T12:00:00.004Z',
    orderId: 'a',
    correlationId: 'a',
    producer: 'scheduler-worker',
    payload: { dueAt: '2030-01-01T11:59:59.990Z' },
  });
  for (const event of store.bus.events) assert.ok('event' in parseEvent(event), event.eventType);
});

test('a timer that is set again has the same event id for the same time, and another id for another time', async () => {
  const { queue, pass, sent, deps } = setUp();
  const published: string[] = [];
  const { publish } = deps.bus;
  deps.bus.publish = async (events) => {
    published.push(...events.map(({ eventId }) => eventId));
    return publish(events);
  };
  for (const dueAt of [NOON, NOON, NOON - 1]) {
    await queue.schedule([timer('a', 'eta', dueAt)]);
    await pass();
  }
  const [one, other] = [`event of eta:a@${NOON}`, `event of eta:a@${NOON - 1}`];
  assert.deepEqual(published, [one, one, other]);
  assert.deepEqual(sent(), [one, other], 'the log has each event once');
});

test('timers are counted separately from orders, and a pass with only timers logs nothing', async () => {
  const { wait, queue, pass, meter, report, log } = setUp();
  await queue.schedule([timer('a', 'eta'), timer('b', 'rider')]);
  await pass();
  assert.deepEqual(report.totals, { claimed: 0, published: 0, redelivered: 0, failed: 0 });
  assert.equal(meter.total('timers_dispatched'), 2);
  assert.deepEqual(log.lines, []);
  await wait(due('c'));
  await queue.schedule([timer('a', 'eta')]);
  await pass();
  assert.deepEqual(report.totals, { claimed: 1, published: 1, redelivered: 0, failed: 0 });
  assert.deepEqual([meter.total('timers_dispatched'), meter.total('orders_dispatched')], [3, 1]);
});

test('a timer that could not be published is due again after its lease, and no order is looked up for it', async () => {
  const { queue, pass, sent, waiting, clock, deps, meter, store } = setUp();
  await queue.schedule([timer('a', 'eta')]);
  const { publish } = deps.bus;
  deps.bus.publish = async () => {
    throw new TiffinError('UNAVAILABLE', 'the stream is unreachable');
  };
  await pass();
  deps.bus.publish = publish;
  assert.deepEqual([await waiting(), meter.total('timers_dispatched')], [1, 0]);
  Object.assign(deps, {
    orderSchedule: {
      ...store.orderSchedule,
      stillWaiting: async () => assert.fail('an order was looked up'),
    },
  });
  clock.advance(LEASE_MS + 1);
  await pass();
  await pass();
  assert.deepEqual(sent(), [`event of eta:a@${NOON + LEASE_MS + 1}`]);
  assert.equal(await waiting(), 0);
});

test('a timer that is moved while it is published stays in the queue with its new time', async () => {
  const { bus, calls } = heldBus();
  const { queue, runOnce, drain } = setUp({ changes: { bus } });
  await queue.schedule([timer('a', 'eta')]);
  await runOnce();
  await turns();
  await queue.schedule([timer('a', 'eta', NOON + 777)]);
  calls[0]?.end();
  await drain();
  assert.equal(queue.scoreOf('a' as OrderId, 'eta'), NOON + 777);
});
