/** Tests of the dispatcher: due times, leases, redelivery, sleeping, and its report. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import { dispatcher } from '../../../internal/service/scheduling/dispatch-due.ts';
import { percentiles } from '../../../internal/service/scheduling/dispatch-report.ts';
import { after, movedTo } from '../../support/builders.ts';
import { due, heldBus, INTERVAL_MS, LEASE_MS, dispatching as setUp } from '../../support/dispatching.ts';
import { NOON } from '../../support/manual-clock.ts';
import { turns } from '../../support/turns.ts';

test('a due order is published as order.ready and removed from the queue', async () => {
  const { wait, pass, store, waiting, clock } = setUp();
  await wait(due('a', NOON - 3));
  clock.advance(4);
  await pass();
  const [event, ...others] = store.bus.events;
  assert.deepEqual(others, []);
  assert.deepEqual(event, {
    eventId: `event of a@${NOON - 3}`,
    eventType: 'order.ready',
    schemaVersion: 1,
    occurredAt: '2030-01-01T12:00:00.004Z',
    producedAt: '2030-01-01T12:00:00.004Z',
    orderId: 'a',
    correlationId: 'a',
    producer: 'scheduler-worker',
    payload: { dueAt: '2030-01-01T11:59:59.997Z', readyAt: '2030-01-01T12:00:00.004Z' },
  });
  assert.equal(await waiting(), 0);
});

test('an order is published at its millisecond and not before', async () => {
  const { wait, pass, sent, clock } = setUp();
  await wait(due('a', NOON + 100));
  assert.equal(await pass(), 100);
  clock.advance(99);
  assert.equal(await pass(), 2, 'the shortest sleep');
  assert.deepEqual(sent(), []);
  clock.advance(1);
  await pass();
  assert.deepEqual(sent(), [`event of a@${NOON + 100}`]);
});

test('an order is removed only after the stream has confirmed it', async () => {
  const { bus, calls } = heldBus();
  const { wait, runOnce, drain, waiting } = setUp({ changes: { bus } });
  await wait(due('a'));
  await runOnce();
  await turns();
  assert.deepEqual([calls.length, await waiting()], [1, 1]);
  calls[0]?.end();
  await drain();
  assert.equal(await waiting(), 0);
});

const away = async () => {
  throw new TiffinError('UNAVAILABLE', 'the stream is unreachable');
};

test('an order that could not be published stays in the queue, and is published under the same id while its lease runs', async () => {
  const { wait, pass, sent, waiting, wakes, log, deps, report } = setUp();
  await wait(due('a'));
  const publish = deps.bus.publish;
  deps.bus.publish = away;
  await pass();
  assert.equal(await pass(), 50, 'the backoff');
  await pass();
  assert.deepEqual([sent(), await waiting()], [[], 1]);
  assert.equal(log.at('error').length, 0, 'an unreachable dependency is not logged as an error');
  assert.equal(log.at('warn').length, 1);
  deps.bus.publish = publish;
  assert.equal(await pass(), 100, 'the backoff');
  const before = wakes();
  await pass();
  assert.deepEqual([sent(), await waiting()], [[`event of a@${NOON}`], 0]);
  assert.equal(wakes(), before + 1, 'the loop is woken to claim what else is due');
  assert.deepEqual(report.totals, { claimed: 1, published: 1, redelivered: 0, failed: 0 });
});

test('an order that could not be published until its lease ran out is claimed again', async () => {
  const { wait, pass, sent, waiting, clock, deps, report } = setUp();
  await wait(due('a'));
  const publish = deps.bus.publish;
  deps.bus.publish = away;
  await pass();
  deps.bus.publish = publish;
  clock.advance(LEASE_MS + 1);
  await pass();
  await pass();
  assert.deepEqual([sent(), await waiting()], [[`event of a@${NOON}`], 0]);
  assert.deepEqual(report.totals, { claimed: 2, published: 1, redelivered: 1, failed: 1 });
});

test('orders that were published and could not be acknowledged are only acknowledged again', async () => {
  const { wait, pass, sent, waiting, deps } = setUp();
  await wait(due('a'));
  const acknowledge = deps.queue.acknowledge;
  Object.assign(deps.queue, { acknowledge: away });
  await pass();
  Object.assign(deps.queue, { acknowledge });
  await pass();
  await pass();
  assert.deepEqual([sent(), await waiting()], [[`event of a@${NOON}`], 0]);
});

test('a fault that is not transient is logged as an error each time', async () => {
  const { wait, pass, log, clock, deps } = setUp();
  deps.bus.publish = async () => {
    throw new RangeError('a programming error');
  };
  await wait(due('a'));
  await pass();
  clock.advance(LEASE_MS + 1);
  await pass();
  await pass();
  assert.equal(log.at('error').length, 2);
});

test('a redelivered order is published, put back if it was rescheduled, or only removed if it was processed', async () => {
  const { wait, runOnce, drain, sent, queue, clock, store, deps } = setUp();
  const [processed, moved, unchanged] = [due('processed'), due('moved'), due('unchanged')];
  await wait(processed, moved, unchanged);
  const publish = deps.bus.publish;
  deps.bus.publish = away;
  await runOnce();
  await drain();
  deps.bus.publish = publish;
  const later = NOON + 3_600_000;
  store.seed(
    movedTo(processed, 'PROCESSING'),
    after(moved, { type: 'rescheduled', at: NOON, scheduledAt: later, dueAt: later }),
  );
  clock.advance(LEASE_MS + 1);
  await runOnce();
  await runOnce();
  await drain();
  assert.deepEqual(sent(), [`event of unchanged@${NOON}`]);
  assert.deepEqual(
    [processed, moved, unchanged].map(({ id }) => queue.scoreOf(id)),
    [undefined, later, undefined],
  );
});

test('a redelivered order that is unknown to the database is removed from the queue', async () => {
  const { queue, runOnce, drain, sent, clock, waiting } = setUp();
  await queue.schedule([{ orderId: 'ghost' as OrderId, dueAt: NOON }]);
  await queue.claim(0, 10);
  clock.advance(LEASE_MS + 1);
  await runOnce();
  await drain();
  assert.deepEqual([sent(), await waiting()], [[], 0]);
});

test('a redelivered order waits for another lease while the database is unreachable', async () => {
  const { queue, wait, pass, sent, waiting, clock, deps, store } = setUp();
  await wait(due('a'));
  await queue.claim(0, 10);
  clock.advance(LEASE_MS + 1);
  const { orderSchedule } = store;
  Object.assign(deps, {
    orderSchedule: {
      ...orderSchedule,
      stillWaiting: async () => {
        throw new TiffinError('UNAVAILABLE', 'the database is unreachable');
      },
    },
  });
  await pass();
  assert.deepEqual([sent(), await waiting()], [[], 1]);
});

test('an order that is rescheduled while it is published stays in the queue with its new time', async () => {
  const { bus, calls } = heldBus();
  const { wait, runOnce, drain, queue } = setUp({ changes: { bus } });
  await wait(due('a'));
  await runOnce();
  await turns();
  await queue.schedule([{ orderId: 'a' as OrderId, dueAt: NOON + 777 }]);
  calls[0]?.end();
  await drain();
  assert.equal(queue.scoreOf('a' as OrderId), NOON + 777);
});

test('claiming stops after four passes when the stream stalls, and the backlog stays in the queue', async () => {
  const { bus, calls } = heldBus();
  const { wait, runOnce, drain, queue, wakes } = setUp({ changes: { bus } });
  for (const id of ['a', 'b', 'c', 'd']) {
    await wait(due(id));
    await runOnce();
  }
  await wait(due('e'));
  assert.equal(await runOnce(), INTERVAL_MS);
  await turns(20);
  assert.deepEqual(
    calls.map(({ ids }) => ids),
    [['a'], ['b'], ['c'], ['d']],
  );
  assert.equal(queue.scoreOf('e' as OrderId), NOON, 'the order is not claimed');
  assert.equal(wakes(), 0);
  calls[2]?.end();
  await turns();
  assert.equal(wakes(), 1, 'the loop is woken when a claim is published');
  await runOnce();
  await turns();
  assert.deepEqual(calls[4]?.ids, ['e']);
  for (const { end } of calls) end();
  await drain();
  assert.equal((await queue.size()).waiting, 0);
});

test('the dispatcher sleeps until the next order is due, and no longer than the interval', async () => {
  const { wait, pass, clock } = setUp();
  assert.equal(await pass(), INTERVAL_MS, 'the queue is empty');
  await wait(due('far', NOON + 3_600_000));
  assert.equal(await pass(), INTERVAL_MS);
  await wait(due('near', NOON + 300));
  assert.equal(await pass(), 300);
  await wait(due('next', NOON + 1));
  assert.equal(await pass(), 2);
  clock.advance(2);
  assert.equal(await pass(), 298);
});

test('a pass that claims the largest number of orders is followed by another at once', async () => {
  const { wait, pass, sent, waiting } = setUp();
  await wait(...Array.from({ length: 1_500 }, (_, index) => due(`o${index}`)));
  assert.equal(await pass(), 0);
  assert.equal(sent().length, 1_000);
  assert.equal(await pass(), INTERVAL_MS);
  assert.equal(new Set(sent()).size, 1_500);
  assert.equal(await waiting(), 0);
});

test('the dispatcher is woken only by an order that is due before its sleep ends', async () => {
  const { pass, scheduled, wakes } = setUp();
  await pass();
  scheduled(NOON + INTERVAL_MS);
  assert.equal(wakes(), 0);
  scheduled(NOON + INTERVAL_MS - 1);
  assert.equal(wakes(), 1);
});

test('an order that is scheduled between the claim and the sleep shortens the sleep', async () => {
  const { runOnce, scheduled, queue, deps } = setUp();
  await runOnce();
  const claim = queue.claim;
  Object.assign(deps.queue, {
    async claim(shard: number, limit: number) {
      const claimed = await claim(shard, limit);
      // An order is scheduled after the claim and before the dispatcher reads its result.
      await queue.schedule([{ orderId: 'a' as OrderId, dueAt: NOON + 40 }]);
      scheduled(NOON + 40);
      return claimed;
    },
  });
  assert.equal(await runOnce(), 40);
});

test('two dispatchers on one queue publish no order twice within a lease', async () => {
  const first = setUp({ shards: 2 });
  const second = dispatcher(first.deps, { intervalMs: INTERVAL_MS });
  const published: string[] = [];
  first.deps.bus.publish = async (events) => {
    await turns(1);
    published.push(...events.map(({ orderId }) => orderId));
  };
  await first.wait(...Array.from({ length: 3_000 }, (_, index) => due(`o${index}`)));
  for (let round = 0; round < 3; round += 1) {
    await Promise.all([first.runOnce(), second.runOnce(), first.runOnce()]);
    await Promise.all([first.drain(), second.drain()]);
  }
  assert.equal(published.length, 3_000);
  assert.equal(new Set(published).size, 3_000);
  assert.equal(await first.waiting(), 0);
  assert.ok(second.report.totals.published > 0, 'both dispatchers published orders');
});

test('a pass claims from every shard, and the nearest due time of all shards decides the sleep', async () => {
  const { wait, pass, sent } = setUp({ shards: 4 });
  await wait(...['a', 'b', 'c', 'd'].map((id) => due(id)), due('e', NOON + 50), due('f', NOON + 70));
  assert.equal(await pass(), 50);
  assert.equal(sent().length, 4);
});

test('a lost queue is reported, and no order is published', async () => {
  const { wait, pass, queue, lost, sent, report } = setUp();
  queue.flush();
  await wait(due('a'));
  assert.equal(await pass(), INTERVAL_MS);
  assert.deepEqual([lost(), sent(), report.state], [1, [], 'lost']);
});

test('a paused queue is not reported as lost, and no order is published until it runs again', async () => {
  const { wait, pass, queue, lost, sent, report } = setUp();
  await queue.setState('paused');
  await wait(due('a'));
  await pass();
  assert.deepEqual([lost(), sent(), report.state], [0, [], 'paused']);
  await queue.setState('running');
  await pass();
  assert.deepEqual([sent().length, report.state], [1, 'running']);
});

test('the report of published orders is one log line, and a pass without orders logs nothing', async () => {
  const { wait, pass, log, meter, report } = setUp();
  await pass();
  assert.deepEqual(log.lines, []);
  await wait(due('a'), due('b', NOON - 10), due('c', NOON + 500));
  await pass();
  const [line, ...others] = log.at('info', 'warn', 'error');
  assert.deepEqual(others, []);
  assert.ok(line?.message === 'dispatched 2 orders');
  const { lateMs, ...numbers } = line.fields as { lateMs: { max: number } };
  assert.deepEqual(numbers, { claimed: 2, published: 2, redelivered: 0, failed: 0, waiting: 1 });
  assert.ok(lateMs.max >= 10);
  assert.equal(meter.total('orders_dispatched'), 2);
  assert.deepEqual(report.last?.line, line.fields);
});

test('a pass rejects with UNAVAILABLE while the queue is unreachable', async () => {
  const { runOnce, deps } = setUp();
  Object.assign(deps.queue, {
    claim: async () => {
      throw new TiffinError('UNAVAILABLE', 'Redis cannot be reached');
    },
  });
  await assert.rejects(runOnce(), { code: 'UNAVAILABLE' });
});

test('percentiles are computed by the nearest rank', () => {
  assert.equal(percentiles([]), undefined);
  assert.deepEqual(percentiles([7]), { p50: 7, p99: 7, max: 7 });
  assert.deepEqual(percentiles(Array.from({ length: 100 }, (_, index) => 100 - index)), {
    p50: 50,
    p99: 99,
    max: 100,
  });
  assert.deepEqual(percentiles([1.26, 0.04]), { p50: 0, p99: 1.3, max: 1.3 });
});
