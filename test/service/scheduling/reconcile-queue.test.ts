/** Tests of the reconciler: rebuilding a lost due queue, and adding members that are missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import type { ReconcileDeps } from '../../../internal/service/scheduling/reconcile-queue.ts';
import { movedTo } from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { NOON } from '../../support/manual-clock.ts';
import { HOUR, MINUTE, order, reconciling as setUp, storedTimers } from '../../support/reconciling.ts';
import { gate, turns } from '../../support/turns.ts';

test('the first round adds every waiting order with its time, and no other order', async () => {
  const { runOnce, store, score, state } = setUp();
  store.seed(
    order('overdue', NOON - HOUR),
    order('soon', NOON + 5),
    order('far', NOON + 500 * HOUR),
    movedTo(order('started', NOON), 'PROCESSING'),
    movedTo(order('done', NOON), 'PROCESSING', 'COMPLETED'),
  );
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual(
    [score('overdue'), score('soon'), score('far'), score('started'), score('done')],
    [NOON - HOUR, NOON + 5, NOON + 500 * HOUR, undefined, undefined],
  );
  assert.equal(await state(), 'running');
});

test('a rebuild adds the orders of the next minute first, and dispatching continues while it adds the rest', async () => {
  const rest = gate();
  const store = memoryStore();
  const waiting: ReconcileDeps['orderSchedule']['waiting'] = async function* (window) {
    if (window.from > 0) await rest.promise;
    yield* store.orderSchedule.waiting(window);
  };
  const { runOnce, queue, state, size, wakes } = setUp({
    orderSchedule: { ...store.orderSchedule, waiting },
  });
  store.seed(order('later', NOON + MINUTE), order('b', NOON + MINUTE - 1), order('a', NOON - 1));
  const added: string[] = [];
  const schedule = queue.schedule;
  Object.assign(queue, {
    schedule: (...args: Parameters<typeof schedule>) => {
      added.push(...args[0].map(({ orderId }) => orderId));
      return schedule(...args);
    },
  });
  const running = runOnce();
  await turns(10);
  assert.deepEqual([added, await state(), await size()], [['a', 'b'], 'running', 2]);
  assert.ok(wakes() > 0, 'the dispatch loop is woken');
  rest.open();
  await running;
  assert.deepEqual(added, ['a', 'b', 'later']);
});

test('a rebuild adds missing orders, moves those that are queued too late, and leaves all others', async () => {
  const { runOnce, store, queue, score, meter } = setUp();
  store.seed(order('early', NOON + 5), order('late', NOON + 5), order('missing', NOON + 6));
  await queue.schedule([
    { orderId: 'early' as OrderId, dueAt: NOON + 4 },
    { orderId: 'late' as OrderId, dueAt: NOON + 99 },
  ]);
  await runOnce();
  assert.deepEqual([score('early'), score('late'), score('missing')], [NOON + 4, NOON + 5, NOON + 6]);
  assert.equal(meter.total('orders_rebuilt'), 2);
});

test('a regular round leaves an order that is in the queue with another time', async () => {
  const { runOnce, store, queue, score } = setUp();
  await runOnce();
  store.seed(order('there', NOON + 5));
  await queue.schedule([{ orderId: 'there' as OrderId, dueAt: NOON + 99 }]);
  await runOnce();
  assert.equal(score('there'), NOON + 99);
});

test('a paused scheduler is still paused after a rebuild', async () => {
  const { runOnce, store, state } = setUp();
  await store.schedulerSwitch.setPaused(true);
  await runOnce();
  assert.equal(await state(), 'paused');
});

test('a loss is reported once, and the next round rebuilds the queue', async () => {
  const { runOnce, lost, queue, store, size, state, log } = setUp();
  store.seed(order('a', NOON + 5), order('far', NOON + 500 * HOUR));
  assert.equal(lost(), false, 'a loss before the first round is not reported');
  await runOnce();
  queue.flush();
  assert.deepEqual([lost(), lost()], [true, false]);
  assert.equal(log.at('warn').length, 1);
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual([await size(), await state()], [2, 'running']);
  queue.flush();
  assert.equal(lost(), true, 'the next loss is reported');
});

test('a loss during a rebuild starts another rebuild at once', async () => {
  const rest = gate();
  const store = memoryStore();
  let held = true;
  const waiting: ReconcileDeps['orderSchedule']['waiting'] = async function* (window) {
    if (window.from > 0 && held) await rest.promise;
    yield* store.orderSchedule.waiting(window);
  };
  const { runOnce, lost, queue, size, state } = setUp({ orderSchedule: { ...store.orderSchedule, waiting } });
  store.seed(order('a', NOON + 5), order('b', NOON + HOUR));
  const first = runOnce();
  await turns(10);
  queue.flush();
  assert.equal(lost(), true);
  held = false;
  rest.open();
  assert.equal(await first, 0, 'the next round follows at once');
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual([await size(), await state()], [2, 'running']);
});

test('a loss before the state is set, which no pass can detect, starts another rebuild', async () => {
  const { runOnce, lost, queue, store, size, state, log } = setUp();
  store.seed(order('a', NOON + 5), order('b', NOON + HOUR));
  const setState = queue.setState;
  Object.assign(queue, {
    async setState(...args: Parameters<typeof setState>) {
      queue.flush();
      assert.equal(lost(), false);
      Object.assign(queue, { setState });
      return setState(...args);
    },
  });
  assert.equal(await runOnce(), 0, 'the next round follows at once');
  assert.equal(log.at('warn').length, 1);
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual([await size(), await state()], [2, 'running']);
});

test('a pass that finds the queue lost before the state is set does not report a loss', async () => {
  const setting = gate();
  const { runOnce, lost, queue } = setUp();
  const setState = queue.setState;
  Object.assign(queue, {
    async setState(...args: Parameters<typeof setState>) {
      await setting.promise;
      return setState(...args);
    },
  });
  const running = runOnce();
  await turns(10);
  assert.equal(lost(), false);
  setting.open();
  assert.equal(await running, MINUTE);
});

test('a failed rebuild is repeated by the next round', async () => {
  const { runOnce, store, queue, size, state, lost } = setUp();
  store.seed(order('a', NOON + 5));
  const setState = queue.setState;
  Object.assign(queue, {
    setState: async () => {
      throw new TiffinError('UNAVAILABLE', 'Redis cannot be reached');
    },
  });
  await assert.rejects(runOnce(), { code: 'UNAVAILABLE' });
  assert.equal(await state(), 'lost');
  assert.equal(lost(), false, 'the loss was reported before');
  Object.assign(queue, { setState });
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual([await size(), await state()], [1, 'running']);
});

test('a regular round adds missing orders that are due within ten minutes, and logs their number', async () => {
  const { runOnce, store, queue, clock, score, log, wakes } = setUp();
  await runOnce();
  const before = wakes();
  clock.advance(MINUTE);
  store.seed(
    order('near', NOON + 5 * MINUTE),
    order('late', NOON - MINUTE + 1),
    order('far', NOON + HOUR),
    order('there', NOON + 2 * MINUTE),
  );
  await queue.schedule([{ orderId: 'there' as OrderId, dueAt: NOON + 2 * MINUTE }]);
  const secondLook = await runOnce();
  assert.ok(secondLook < MINUTE);
  assert.deepEqual([score('near'), log.at('warn')], [undefined, []], 'they may be on their way to the queue');
  clock.advance(secondLook);
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual(
    [score('near'), score('late'), score('far')],
    [NOON + 5 * MINUTE, NOON - MINUTE + 1, undefined],
  );
  assert.deepEqual(
    log.at('warn').map(({ fields }) => fields),
    [{ added: 2 }],
  );
  assert.ok(wakes() > before);
});

test('an order or timer that reaches the queue between the two looks of a round is not missing', async () => {
  const timers = storedTimers({ orderId: 't' as OrderId, kind: 'rider', dueAt: NOON + MINUTE + 1 });
  const { runOnce, store, queue, clock, log, meter } = setUp({ timers });
  await runOnce();
  const before = meter.total('orders_rebuilt');
  clock.advance(MINUTE);
  timers.stored.push({ orderId: 'u' as OrderId, kind: 'eta', dueAt: NOON + MINUTE });
  store.seed(order('placed', NOON + MINUTE));
  clock.advance(await runOnce());
  await queue.schedule([{ orderId: 'placed' as OrderId, dueAt: NOON + MINUTE }, ...timers.stored]);
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual([log.at('warn'), meter.total('orders_rebuilt')], [[], before]);
});

test('an order or timer that was dispatched is not missing, however long its consumer takes', async () => {
  const timers = storedTimers({ orderId: 't' as OrderId, kind: 'payment', dueAt: NOON + MINUTE });
  const { runOnce, store, queue, clock, log, meter } = setUp({ timers });
  store.seed(order('dispatched', NOON + MINUTE));
  await runOnce();
  const before = meter.total('orders_rebuilt');
  clock.advance(MINUTE);
  const claim = await queue.claim(0, 10);
  await queue.acknowledge(0, claim.lease, [...claim.due, ...claim.timers]);
  for (let round = 0; round < 4; round++) clock.advance(await runOnce());
  assert.equal((await queue.size()).waiting, 0, 'neither is dispatched again');
  assert.deepEqual([log.at('warn'), meter.total('orders_rebuilt')], [[], before]);
  store.seed(order('dispatched', clock.now() + MINUTE));
  clock.advance(await runOnce());
  await runOnce();
  assert.equal((await queue.size()).waiting, 1, 'a new schedule of the same order can be missing');
});

test('a missing order that is due later is added by a round before its time', async () => {
  const { runOnce, store, clock, score, log } = setUp();
  await runOnce();
  const dueAt = NOON + 42 * MINUTE + 7;
  store.seed(order('far', dueAt));
  while (clock.now() < dueAt && score('far') === undefined) {
    clock.advance(await runOnce());
  }
  assert.ok(clock.now() <= dueAt - 7 * MINUTE, 'long before its time');
  assert.equal(log.at('warn').length, 1);
});

test('a round that adds nothing logs nothing and wakes no loop', async () => {
  const { runOnce, log, wakes } = setUp();
  await runOnce();
  const before = [log.lines.length, wakes()];
  await runOnce();
  assert.deepEqual([log.lines.length, wakes()], before);
});
