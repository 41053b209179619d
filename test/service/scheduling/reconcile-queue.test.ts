/** Reconciling: whatever the due queue lost is brought back from the database, nearest first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import type { Timer } from '../../../internal/service/scheduling/ports.ts';
import { type ReconcileDeps, reconciler } from '../../../internal/service/scheduling/reconcile-queue.ts';
import { CONTENTS, DEADLINES, movedTo, placedOrder } from '../../support/builders.ts';
import { memoryQueue, memoryStore } from '../../support/in-memory.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';
import { gate, turns } from '../../support/turns.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function setUp(changes: Partial<ReconcileDeps> = {}) {
  const clock = manualClock();
  const store = memoryStore();
  const queue = memoryQueue(clock, { state: 'lost' });
  const log = recordingLog();
  const meter = recordingMeter();
  let wakes = 0;
  const deps: ReconcileDeps = {
    orderSchedule: store.orderSchedule,
    queue,
    timers: { async *waiting() {} },
    deadlines: DEADLINES,
    schedulerSwitch: store.schedulerSwitch,
    clock,
    log,
    meter,
    onAdded: () => {
      wakes += 1;
    },
    ...changes,
  };
  return {
    ...reconciler(deps),
    clock,
    store,
    queue,
    log,
    meter,
    wakes: () => wakes,
    score: (id: string) => queue.scoreOf(id as OrderId),
    state: async () => (await queue.claim(0, 0)).state,
    size: async () => (await queue.size()).waiting,
  };
}

const order = (id: string, dueAt: number) =>
  placedOrder({ content: { id }, scheduledAt: dueAt, at: NOON - 9 * HOUR });

test('at first everything that waits is added with its time, and nothing else', async () => {
  const { runOnce, store, score, state, size } = setUp();
  store.seed(
    order('overdue', NOON - HOUR),
    order('soon', NOON + 5),
    order('far', NOON + 500 * HOUR),
    movedTo(order('gone', NOON), 'PROCESSING'),
  );
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual(
    [score('overdue'), score('soon'), score('far'), score('gone'), await size()],
    [NOON - HOUR, NOON + 5, NOON + 500 * HOUR, undefined, 3],
  );
  assert.equal(await state(), 'running');
});

test('the next minute is brought back first, and then dispatching goes on while the rest follows', async () => {
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
  assert.ok(wakes() > 0, 'the dispatch loop is told');
  rest.open();
  await running;
  assert.deepEqual(added, ['a', 'b', 'later']);
});

test('what is there already stays as it is', async () => {
  const { runOnce, store, queue, score, meter } = setUp();
  store.seed(order('there', NOON + 5), order('missing', NOON + 6));
  await queue.schedule([{ orderId: 'there' as OrderId, dueAt: NOON + 99 }]);
  await runOnce();
  assert.deepEqual([score('there'), score('missing')], [NOON + 99, NOON + 6]);
  assert.equal(meter.total('orders_rebuilt'), 1);
});

test('a scheduler that was paused is paused again after the loss', async () => {
  const { runOnce, store, state } = setUp();
  await store.schedulerSwitch.setPaused(true);
  await runOnce();
  assert.equal(await state(), 'paused');
});

test('a loss is news once, and the next round brings everything back', async () => {
  const { runOnce, lost, queue, store, size, state, log } = setUp();
  store.seed(order('a', NOON + 5), order('far', NOON + 500 * HOUR));
  assert.equal(lost(), false, 'before the first round it is lost anyway');
  await runOnce();
  queue.flush();
  assert.deepEqual([lost(), lost()], [true, false]);
  assert.equal(log.at('warn').length, 1);
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual([await size(), await state()], [2, 'running']);
  queue.flush();
  assert.equal(lost(), true, 'another loss is news again');
});

test('a loss in the middle of rebuilding begins it anew, at once', async () => {
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
  assert.equal(await first, 0, 'there is no time to sleep');
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual([await size(), await state()], [2, 'running']);
});

test('a loss before the state is set, which no pass can see, begins the rebuilding anew', async () => {
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
  assert.equal(await runOnce(), 0, 'there is no time to sleep');
  assert.equal(log.at('warn').length, 1);
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual([await size(), await state()], [2, 'running']);
});

test('while the state is being set every pass still finds the queue lost, which is no news', async () => {
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

test('a rebuilding that fails is begun anew', async () => {
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
  assert.equal(lost(), false, 'it is known already');
  Object.assign(queue, { setState });
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual([await size(), await state()], [1, 'running']);
});

test('a round in between adds what is due within ten minutes and missing, and says so', async () => {
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

test('no order stays missing: a round before its time adds it, however far ahead it was', async () => {
  const { runOnce, store, clock, score, log } = setUp();
  await runOnce();
  const dueAt = NOON + 42 * MINUTE + 7;
  store.seed(order('far', dueAt));
  while (clock.now() < dueAt && score('far') === undefined) {
    clock.advance(MINUTE);
    await runOnce();
  }
  assert.ok(clock.now() <= dueAt - 9 * MINUTE, 'long before its time');
  assert.equal(log.at('warn').length, 1);
});

test('a round that adds nothing says nothing and wakes nobody', async () => {
  const { runOnce, log, wakes } = setUp();
  await runOnce();
  const before = [log.lines.length, wakes()];
  await runOnce();
  assert.deepEqual([log.lines.length, wakes()], before);
});

/** Timers as Postgres has them; tests add to and take from the list. */
function storedTimers(...stored: Timer[]) {
  return {
    stored,
    async *waiting({ from, to }: { from: number; to: number }) {
      const page = stored.filter(({ dueAt }) => dueAt >= from && dueAt < to);
      if (page.length > 0) yield page;
    },
  };
}
const underWay = (id: string) => movedTo(placedOrder({ content: { ...CONTENTS.items, id } }), 'PROCESSING');

test('what FLUSHALL took is brought back: orders, timers of every kind, near and far, and deadlines', async () => {
  const timers = storedTimers(
    { orderId: 'o' as OrderId, kind: 'rider', dueAt: NOON - 1 },
    { orderId: 'o' as OrderId, kind: 'eta', dueAt: NOON + MINUTE },
    { orderId: 'p' as OrderId, kind: 'payment', dueAt: NOON + 500 * HOUR },
  );
  const { runOnce, lost, store, queue, size, state, score } = setUp({ timers });
  store.seed(
    underWay('under-way'),
    movedTo(placedOrder({ content: { id: 'plain' } }), 'PROCESSING'),
    order('o', NOON + HOUR),
    movedTo(order('done', NOON), 'PROCESSING', 'COMPLETED'),
  );
  const all = async () => [
    score('o'),
    queue.scoreOf('o' as OrderId, 'rider'),
    queue.scoreOf('o' as OrderId, 'eta'),
    queue.scoreOf('p' as OrderId, 'payment'),
    queue.scoreOf('under-way' as OrderId, 'deadline'),
    await size(),
  ];
  const complete = [NOON + HOUR, NOON - 1, NOON + MINUTE, NOON + 500 * HOUR, NOON + DEADLINES.processing, 5];
  await runOnce();
  assert.deepEqual(await all(), complete);
  queue.flush();
  assert.equal(await size(), 0);
  assert.equal(lost(), true);
  assert.equal(await runOnce(), MINUTE);
  assert.deepEqual(await all(), complete);
  assert.equal(await state(), 'running');
});

test('deadlines follow what is due soon, and dispatching goes on meanwhile', async () => {
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
  store.seed(underWay('a'), order('b', NOON - 1));
  const running = runOnce();
  await turns(10);
  assert.deepEqual([await state(), await size()], ['running', 1]);
  held.open();
  await running;
  assert.equal(queue.scoreOf('a' as OrderId, 'deadline'), NOON + DEADLINES.processing);
});

test('rebuilding leaves a deadline and a timer that are there as they are', async () => {
  const timers = storedTimers({ orderId: 'a' as OrderId, kind: 'eta', dueAt: NOON + MINUTE });
  const { runOnce, store, queue } = setUp({ timers });
  store.seed(underWay('a'));
  await queue.schedule([
    { orderId: 'a' as OrderId, kind: 'deadline', dueAt: NOON + 7 },
    { orderId: 'a' as OrderId, kind: 'eta', dueAt: NOON + 8 },
  ]);
  await runOnce();
  assert.equal(queue.scoreOf('a' as OrderId, 'deadline'), NOON + 7);
  assert.equal(queue.scoreOf('a' as OrderId, 'eta'), NOON + 8);
});

test('a timer that was stored by a process that died before it was scheduled is added by the next round, and said to be', async () => {
  const timers = storedTimers();
  const { runOnce, queue, clock, log, meter, wakes } = setUp({ timers });
  await runOnce();
  const before = wakes();
  timers.stored.push({ orderId: 'near' as OrderId, kind: 'rider', dueAt: NOON + 5 * MINUTE });
  timers.stored.push({ orderId: 'late' as OrderId, kind: 'payment', dueAt: NOON + 1 });
  timers.stored.push({ orderId: 'far' as OrderId, kind: 'eta', dueAt: NOON + HOUR });
  clock.advance(MINUTE);
  assert.equal(await runOnce(), MINUTE);
  assert.equal(queue.scoreOf('near' as OrderId, 'rider'), NOON + 5 * MINUTE);
  assert.equal(queue.scoreOf('late' as OrderId, 'payment'), NOON + 1);
  assert.equal(queue.scoreOf('far' as OrderId, 'eta'), undefined, 'that is for a later round');
  assert.deepEqual(
    log.at('warn').map(({ fields }) => fields),
    [{ added: 2 }],
  );
  assert.equal(meter.total('orders_rebuilt'), 2);
  assert.ok(wakes() > before);
});

test('no timer stays missing: a round before its time adds it, however far ahead it was', async () => {
  const timers = storedTimers();
  const { runOnce, queue, clock } = setUp({ timers });
  await runOnce();
  const dueAt = NOON + 42 * MINUTE + 7;
  timers.stored.push({ orderId: 'far' as OrderId, kind: 'eta', dueAt });
  while (clock.now() < dueAt && queue.scoreOf('far' as OrderId, 'eta') === undefined) {
    clock.advance(MINUTE);
    await runOnce();
  }
  assert.ok(clock.now() <= dueAt - 9 * MINUTE, 'long before its time');
});

test('a round in between looks for no deadlines', async () => {
  const store = memoryStore();
  let looks = 0;
  const { runOnce, clock, queue, lost } = setUp({
    orderSchedule: {
      ...store.orderSchedule,
      inFlight() {
        looks += 1;
        return store.orderSchedule.inFlight();
      },
    },
  });
  for (let round = 0; round < 3; round += 1) {
    await runOnce();
    clock.advance(MINUTE);
  }
  assert.equal(looks, 1);
  queue.flush();
  lost();
  await runOnce();
  assert.equal(looks, 2);
});
