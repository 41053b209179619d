/** Tests of the order logic: the result of each order, the time limit, and what runs again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { deadlineConsumer } from '../../../internal/service/orders/expire-deadlines.ts';
import { completeConsumer } from '../../../internal/service/orders/process-order.ts';
import type { LogicCall, OrderLogic } from '../../../internal/service/orders/run-logic.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import {
  after,
  DEADLINES,
  movedTo,
  nextId,
  placedOrder,
  processingEvent,
  timerEvent,
} from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { memoryTimers } from '../../support/payments.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';
import { turns } from '../../support/turns.ts';

const NEVER = new Promise<never>(() => {});
const unavailable = () => new TiffinError('UNAVAILABLE', 'the bank is closed');

function setUp(run: OrderLogic, timeoutMs = 10_000) {
  const clock = manualClock();
  const store = memoryStore();
  const queue = memoryQueue(clock);
  const timers = memoryTimers();
  const log = recordingLog();
  const deps = {
    ...store,
    clock,
    log,
    queue,
    timers,
    meter: recordingMeter(),
    deadlines: DEADLINES,
    newEventId: () => nextId('event'),
  };
  const complete = subscriptionOf(deps, completeConsumer(deps, { run, timeoutMs }));
  const deadlines = subscriptionOf(deps, deadlineConsumer(deps));
  const settle = async () => {};
  return {
    clock,
    store,
    queue,
    timers,
    log,
    processing: (...events: ReturnType<typeof processingEvent>[]) =>
      complete.handle({ deliveries: events.map((event) => deliveryOf(event)), settle }),
    /** The order's timer runs out now. */
    retry: (id: string) =>
      complete.handle({ deliveries: [deliveryOf(timerEvent('logic', id, clock.now()))], settle }),
    deadline: (id: string) =>
      deadlines.handle({
        deliveries: [deliveryOf(timerEvent('deadline', id, clock.now()))],
        settle,
      }),
    order: (id: string) => store.tables.orders.get(id as OrderId)?.order as Order,
    announced: () => store.bus.events.map(({ eventType, orderId }) => `${orderId} ${eventType}`),
  };
}

const started = (id: string) => movedTo(placedOrder({ content: { id } }), 'PROCESSING');

test('the logic of an order runs while it is PROCESSING, before it is COMPLETED', async () => {
  const seen: string[] = [];
  const { store, processing, order } = setUp(async (order) => void seen.push(`${order.id} ${order.status}`));
  store.seed(started('a'), started('b'));
  await processing(processingEvent('a'), processingEvent('b'));
  assert.deepEqual(seen.sort(), ['a PROCESSING', 'b PROCESSING']);
  assert.equal(order('a').status, 'COMPLETED');
});

test('an order whose logic throws is FAILED with that reason, and the other orders are COMPLETED', async () => {
  const { store, processing, order, announced } = setUp(async ({ id }) => {
    if (id === 'bad') throw new Error('card declined');
  });
  store.seed(started('bad'), started('good'));
  await processing(processingEvent('bad'), processingEvent('good'));
  const bad = order('bad');
  assert.ok(bad.status === 'FAILED' && bad.reason === 'card declined');
  assert.equal(order('good').status, 'COMPLETED');
  assert.deepEqual(announced().sort(), ['bad order.failed', 'good order.completed']);
});

test('an order whose logic throws a string is FAILED with that string as reason', async () => {
  const { store, processing, order } = setUp(async () => {
    throw 'just text';
  });
  store.seed(started('a'));
  await processing(processingEvent('a'));
  const failed = order('a');
  assert.ok(failed.status === 'FAILED' && failed.reason === 'just text');
});

test('the logic of a cancelled order does not run', async () => {
  const seen: string[] = [];
  const { store, processing, order } = setUp(async ({ id }) => void seen.push(id));
  store.seed(after(started('a'), { type: 'cancelled', at: NOON }), started('b'));
  await processing(processingEvent('a'), processingEvent('b'));
  assert.deepEqual(seen, ['b']);
  assert.deepEqual([order('a').status, order('b').status], ['CANCELLED', 'COMPLETED']);
});

test('an order that is cancelled while its logic runs stays CANCELLED', async () => {
  const { store, processing, order } = setUp(async () => {
    store.seed(after(started('a'), { type: 'cancelled', at: NOON }));
  });
  store.seed(started('a'));
  await processing(processingEvent('a'));
  assert.equal(order('a').status, 'CANCELLED');
});

test('the logic of at most 32 orders runs at a time, and that of every order runs', async () => {
  let running = 0;
  let most = 0;
  let all = 0;
  const { store, processing } = setUp(async () => {
    running += 1;
    all += 1;
    most = Math.max(most, running);
    await turns(1);
    running -= 1;
  });
  const ids = Array.from({ length: 100 }, (_, index) => `o${index}`);
  store.seed(...ids.map((id) => started(id)));
  await processing(...ids.map((id) => processingEvent(id)));
  assert.deepEqual([most, all], [32, 100]);
});

test('an order whose logic is UNAVAILABLE is tried again by a timer, and the logic of its neighbours runs once', async () => {
  let isReachable = false;
  const calls: string[] = [];
  const { store, clock, processing, retry, order, announced, timers, queue } = setUp(async ({ id }) => {
    calls.push(id);
    if (id === 'b' && !isReachable) throw unavailable();
  });
  store.seed(started('a'), started('b'), started('c'));
  await processing(processingEvent('a'), processingEvent('b'), processingEvent('c'));
  assert.deepEqual(announced().sort(), ['a order.completed', 'c order.completed']);
  assert.equal(order('b').status, 'PROCESSING');
  assert.equal(timers.due.get('b' as OrderId), NOON + 1_000);
  assert.equal(queue.scoreOf('b' as OrderId, 'logic'), NOON + 1_000);
  clock.advance(8_000);
  await retry('b');
  assert.equal(timers.due.get('b' as OrderId), NOON + 16_000, 'the waits double');
  isReachable = true;
  clock.advance(8_000);
  await retry('b');
  assert.deepEqual([order('b').status, timers.due.size], ['COMPLETED', 0]);
  assert.deepEqual(calls.sort(), ['a', 'b', 'b', 'b', 'c']);
});

test('logic that never ends is given up after the time limit, its signal is aborted, and its neighbours are COMPLETED', async () => {
  let given: LogicCall | undefined;
  const { store, processing, order, timers, log } = setUp(async ({ id }, call) => {
    if (id !== 'stuck') return;
    given = call;
    await NEVER;
  }, 20);
  store.seed(started('stuck'), started('good'));
  await processing(processingEvent('stuck'), processingEvent('good'));
  assert.deepEqual([order('stuck').status, order('good').status], ['PROCESSING', 'COMPLETED']);
  assert.equal(timers.due.has('stuck' as OrderId), true);
  assert.equal(given?.signal.aborted, true);
  assert.deepEqual(
    log.at('warn').map(({ fields }) => [fields.unavailable, fields.postponed]),
    [[1, 0]],
  );
});

test('an order whose aborted logic rejects with the reason of its signal does not fail', async () => {
  const { store, processing, order } = setUp(
    (_order, { signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    20,
  );
  store.seed(started('a'));
  await processing(processingEvent('a'));
  assert.equal(order('a').status, 'PROCESSING');
});

test('an order that is not reached within the time limit is tried again at once, without a wait', async () => {
  const calls = new Set<string>();
  const { store, processing, order, timers, clock, retry } = setUp(async ({ id }) => {
    calls.add(id);
    if (id !== 'last') await NEVER;
  }, 20);
  const ids = [...Array.from({ length: 32 }, (_, index) => `o${index}`), 'last'];
  store.seed(...ids.map((id) => started(id)));
  await processing(...ids.map((id) => processingEvent(id)));
  assert.deepEqual([calls.size, calls.has('last')], [32, false]);
  assert.equal(timers.due.get('last' as OrderId), clock.now());
  await retry('last');
  assert.equal(order('last').status, 'COMPLETED');
  await retry('o0');
  assert.ok((timers.due.get('o0' as OrderId) ?? 0) > clock.now());
});

test('an order whose logic stays UNAVAILABLE or never ends becomes FAILED at its deadline', async () => {
  const { store, processing, deadline, retry, order, clock, timers } = setUp(async ({ id }) => {
    if (id === 'hangs') await NEVER;
    throw unavailable();
  }, 20);
  store.seed(started('hangs'), started('away'));
  await processing(processingEvent('hangs'), processingEvent('away'));
  clock.advance(DEADLINES.processing);
  for (const id of ['hangs', 'away']) {
    await deadline(id);
    const failed = order(id);
    assert.ok(failed.status === 'FAILED' && failed.reason === 'TIMED_OUT');
    await retry(id);
    assert.equal(order(id).version, failed.version);
  }
  assert.equal(timers.due.size, 0);
});

test('every call for an order has the same idempotency key, and every order has its own', async () => {
  const keys: string[] = [];
  const { store, processing, retry } = setUp(async (_order, { idempotencyKey }) => {
    keys.push(idempotencyKey);
    throw unavailable();
  });
  store.seed(started('a'), started('b'));
  await processing(processingEvent('a'), processingEvent('b'));
  await retry('a');
  assert.equal(keys[0], keys[2]);
  assert.notEqual(keys[0], keys[1]);
});

test('logic that has ended does not run again when its results could not be stored', async () => {
  const calls: string[] = [];
  const { store, processing, order } = setUp(async ({ id }) => {
    calls.push(id);
    if (id === 'bad') throw new Error('card declined');
  });
  store.seed(started('good'), started('bad'));
  const { run } = store.transactions;
  const events = [processingEvent('good'), processingEvent('bad')];
  Object.assign(store.transactions, { run: () => Promise.reject(unavailable()) });
  await assert.rejects(processing(...events), { code: 'UNAVAILABLE' });
  Object.assign(store.transactions, { run });
  await processing(...events);
  assert.deepEqual([order('good').status, order('bad').status], ['COMPLETED', 'FAILED']);
  assert.deepEqual(calls.sort(), ['bad', 'good']);
});
