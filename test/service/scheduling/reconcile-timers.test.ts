/** The reconciler's rounds for timers and deadlines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrderId } from '../../../internal/domain/order.ts';
import { DEADLINES, movedTo, placedOrder } from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { NOON } from '../../support/manual-clock.ts';
import {
  HOUR,
  MINUTE,
  order,
  reconciling as setUp,
  started,
  storedTimers,
} from '../../support/reconciling.ts';
import { gate, turns } from '../../support/turns.ts';

test('a rebuild after FLUSHALL restores orders, timers of every kind, and deadlines', async () => {
  const timers = storedTimers(
    { orderId: 'o' as OrderId, kind: 'rider', dueAt: NOON - 1 },
    { orderId: 'o' as OrderId, kind: 'eta', dueAt: NOON + MINUTE },
    { orderId: 'p' as OrderId, kind: 'payment', dueAt: NOON + 500 * HOUR },
  );
  const { runOnce, lost, store, queue, size, state, score } = setUp({ timers });
  store.seed(
    started('started'),
    movedTo(placedOrder({ content: { id: 'plain' } }), 'PROCESSING'),
    order('o', NOON + HOUR),
    movedTo(order('done', NOON), 'PROCESSING', 'COMPLETED'),
  );
  const all = async () => [
    score('o'),
    queue.scoreOf('o' as OrderId, 'rider'),
    queue.scoreOf('o' as OrderId, 'eta'),
    queue.scoreOf('p' as OrderId, 'payment'),
    queue.scoreOf('started' as OrderId, 'deadline'),
    queue.scoreOf('plain' as OrderId, 'deadline'),
    await size(),
  ];
  const complete = [
    NOON + HOUR,
    NOON - 1,
    NOON + MINUTE,
    NOON + 500 * HOUR,
    NOON + DEADLINES.processing,
    NOON + DEADLINES.processing,
    6,
  ];
  await runOnce();
  assert.deepEqual(await all(), complete);
  queue.flush();
  assert.equal(await size(), 0);
  assert.equal(lost(), true);
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual(await all(), complete);
  assert.equal(await state(), 'running');
});

test('a rebuild adds deadlines after the orders of the next minute, while dispatching continues', async () => {
  const held = gate();
  const store = memoryStore();
  const { runOnce, queue, state, size } = setUp({
    orderSchedule: {
      ...store.orderSchedule,
      async *inFlight() {
        await held.promise;
        yield* store.orderSchedule.inFlight();
      },
    },
  });
  store.seed(started('a'), order('b', NOON - 1));
  const running = runOnce();
  await turns(10);
  assert.deepEqual([await state(), await size()], ['running', 1]);
  held.open();
  await running;
  assert.equal(queue.scoreOf('a' as OrderId, 'deadline'), NOON + DEADLINES.processing);
});

test('a rebuild keeps the times of deadlines and timers that are in the queue', async () => {
  const timers = storedTimers({ orderId: 'a' as OrderId, kind: 'eta', dueAt: NOON + MINUTE });
  const { runOnce, store, queue } = setUp({ timers });
  store.seed(started('a'));
  await queue.schedule([
    { orderId: 'a' as OrderId, kind: 'deadline', dueAt: NOON + 7 },
    { orderId: 'a' as OrderId, kind: 'eta', dueAt: NOON + 8 },
  ]);
  await runOnce();
  assert.equal(queue.scoreOf('a' as OrderId, 'deadline'), NOON + 7);
  assert.equal(queue.scoreOf('a' as OrderId, 'eta'), NOON + 8);
});

test('a timer whose process died before adding it to the queue is added by the next round, which logs it', async () => {
  const timers = storedTimers();
  const { runOnce, queue, clock, log, meter, wakes } = setUp({ timers });
  await runOnce();
  const before = wakes();
  timers.stored.push({ orderId: 'near' as OrderId, kind: 'rider', dueAt: NOON + 5 * MINUTE });
  timers.stored.push({ orderId: 'late' as OrderId, kind: 'payment', dueAt: NOON + 1 });
  timers.stored.push({ orderId: 'far' as OrderId, kind: 'eta', dueAt: NOON + HOUR });
  clock.advance(MINUTE);
  clock.advance(await runOnce());
  assert.equal(await runOnce(), MINUTE);
  assert.equal(queue.scoreOf('near' as OrderId, 'rider'), NOON + 5 * MINUTE);
  assert.equal(queue.scoreOf('late' as OrderId, 'payment'), NOON + 1);
  assert.equal(queue.scoreOf('far' as OrderId, 'eta'), undefined, 'a later round adds this timer');
  assert.deepEqual(
    log.at('warn').map(({ fields }) => fields),
    [{ added: 2 }],
  );
  assert.equal(meter.total('orders_rebuilt'), 2);
  assert.ok(wakes() > before);
});

test('a missing timer that is due later is added by a round before its time', async () => {
  const timers = storedTimers();
  const { runOnce, queue, clock } = setUp({ timers });
  await runOnce();
  const dueAt = NOON + 42 * MINUTE + 7;
  timers.stored.push({ orderId: 'far' as OrderId, kind: 'eta', dueAt });
  while (clock.now() < dueAt && queue.scoreOf('far' as OrderId, 'eta') === undefined) {
    clock.advance(await runOnce());
  }
  assert.ok(clock.now() <= dueAt - 7 * MINUTE, 'long before its time');
});

test('a regular round does not read deadlines', async () => {
  const store = memoryStore();
  let reads = 0;
  const { runOnce, clock, queue, lost } = setUp({
    orderSchedule: {
      ...store.orderSchedule,
      inFlight() {
        reads += 1;
        return store.orderSchedule.inFlight();
      },
    },
  });
  for (let round = 0; round < 3; round += 1) {
    await runOnce();
    clock.advance(MINUTE);
  }
  assert.equal(reads, 1);
  queue.flush();
  lost();
  await runOnce();
  assert.equal(reads, 2);
});
