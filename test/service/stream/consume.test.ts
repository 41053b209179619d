/** Tests of the consumer wrapper: effects once per event, dead letters, parked events and replay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import type { Consumer } from '../../../internal/service/stream/consumer.ts';
import { readyEvent } from '../../support/builders.ts';
import { event, junk, poison, consuming as setUp } from '../../support/consuming.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { NOON } from '../../support/manual-clock.ts';

test('a batch takes effect in one transaction that also settles it', async () => {
  const { deliver, effects, applied, performed, settled, meter } = setUp();
  await deliver(event('e1'), event('e2'));
  assert.deepEqual([performed, applied], [[['e1', 'e2']], [['e1', 'e2']]]);
  assert.deepEqual(effects(), ['e1', 'e2']);
  assert.deepEqual([settled(), meter.total('events_consumed')], [1, 2]);
});

test('the result of perform is passed to apply', async () => {
  const seen: string[] = [];
  const { deliver } = setUp({
    async apply(_tx, _events, performed) {
      seen.push(performed);
      return [];
    },
  });
  await deliver(event('e1'));
  assert.deepEqual(seen, ['performed']);
});

test('an event that is redelivered, or delivered twice in one batch, takes effect once', async () => {
  const { deliver, effects, performed, settled } = setUp();
  await deliver(event('e1'), event('e1'));
  await deliver(event('e1'), event('e2'));
  await deliver(event('e1'), event('e2'));
  assert.deepEqual(effects(), ['e1', 'e2']);
  assert.deepEqual(performed, [['e1'], ['e2']]);
  assert.equal(settled(), 3, 'every batch is settled');
});

test('each of two consumers handles the same event', async () => {
  const first = setUp();
  await first.deliver(event('e1'));
  const seen: string[] = [];
  const other: Consumer<'order.processing', void> = {
    name: 'another',
    topics: ['raw.order-events'],
    types: ['order.processing'],
    async apply(_tx, events) {
      seen.push(...events.map(({ eventId }) => eventId));
      return [];
    },
  };
  await subscriptionOf(first.deps, other).handle({
    deliveries: [deliveryOf(event('e1'))],
    settle: async () => {},
  });
  assert.deepEqual(seen, ['e1']);
});

test('events of other types are skipped, whether the type exists or not', async () => {
  const { deliver, applied, letters } = setUp();
  await deliver(readyEvent('o1', NOON), junk('1', 'o1', { eventType: 'order.exploded' }));
  assert.deepEqual([applied, letters()], [[], []]);
});

test('a poison event becomes a dead letter after three attempts, and the other events of the batch take effect', async () => {
  const { state, refuse } = poison(['bad']);
  const { deliver, effects, letters, log, meter, settled, store } = setUp({
    async perform(events) {
      refuse(events);
      return '';
    },
  });
  await deliver(event('e1'), event('bad'), event('e2'));
  assert.deepEqual(effects(), ['e1', 'e2']);
  assert.deepEqual(letters(), [['order of bad', 'bad', 'RangeError: cannot stomach this']]);
  assert.equal(store.tables.letters[0]?.retryCount, 3);
  assert.equal(state.attempts, 4, 'once together and three times alone');
  assert.deepEqual([meter.total('dead_letters'), settled()], [1, 1]);
  assert.equal(log.at('error').length, 0);
});

test('a failed batch is rolled back before its events are retried one by one', async () => {
  let together = true;
  const { deliver, effects, applied } = setUp({
    async apply(tx, events) {
      applied.push(events.map(({ eventId }) => eventId));
      await tx.appendEvents([readyEvent('o', NOON, 'half done')]);
      if (together) {
        together = false;
        throw new RangeError('not all at once');
      }
      return [];
    },
  });
  await deliver(event('e1'), event('e2'));
  assert.deepEqual(applied, [['e1', 'e2'], ['e1'], ['e2']]);
  assert.deepEqual(effects(), ['half done']);
});

test('an event whose last attempt succeeds does not become a dead letter', async () => {
  let attempts = 0;
  const { deliver, effects, letters } = setUp({
    async perform() {
      attempts += 1;
      if (attempts < 4) throw new RangeError('not yet');
      return '';
    },
  });
  await deliver(event('e1'));
  assert.deepEqual([effects(), letters(), attempts], [['e1'], [], 4]);
});

test('a transient fault is rethrown, and the batch has no effect', async () => {
  const { refuse } = poison(['e2'], () => new TiffinError('UNAVAILABLE', 'unreachable'));
  const { deliver, effects, letters, store, meter } = setUp({
    async apply(_tx, events) {
      refuse(events);
      return events.map(({ orderId, eventId }) => readyEvent(orderId, NOON, eventId));
    },
  });
  await assert.rejects(deliver(event('e1'), event('e2')), { code: 'UNAVAILABLE' });
  assert.deepEqual([effects(), letters(), store.tables.processed.size], [[], [], 0]);
  assert.equal(meter.total('dead_letters'), 0);
});

test('a dependency that becomes unreachable while events are retried one by one causes no dead letters', async () => {
  let calls = 0;
  const { deliver, effects, letters, settled } = setUp({
    async perform() {
      calls += 1;
      if (calls === 1) throw new RangeError('the batch fails');
      if (calls === 3) throw new TiffinError('UNAVAILABLE', 'unreachable');
      return '';
    },
  });
  await assert.rejects(deliver(event('e1'), event('e2')), { code: 'UNAVAILABLE' });
  assert.deepEqual([effects(), letters(), settled()], [['e1'], [], 0]);
  await deliver(event('e1'), event('e2'));
  assert.deepEqual([effects(), settled()], [['e1', 'e2'], 1]);
});

test('an unreadable record becomes one dead letter with its content, and blocks no other record', async () => {
  const { deliver, effects, store, meter } = setUp();
  await deliver(junk('7', 'o1'), event('e1'), junk('8', '', { eventType: 'order.processing' }));
  assert.deepEqual(effects(), ['e1']);
  assert.deepEqual(
    store.tables.letters.map(({ key, eventId }) => [key, eventId]),
    [
      ['o1', 'raw.order-events/7'],
      ['', 'raw.order-events/8'],
    ],
  );
  assert.equal(store.tables.letters[0]?.record, 'not json');
  assert.equal(meter.total('dead_letters'), 2);
  await deliver(junk('7', 'o1'), junk('8', '', { eventType: 'order.processing' }));
  assert.equal(store.tables.letters.length, 2);
});

test('a dead letter whose record is redelivered is counted once', async () => {
  const { deliver, meter } = setUp();
  await deliver(junk('7', 'o1'));
  await deliver(junk('7', 'o1'));
  assert.equal(meter.total('dead_letters'), 1);
});

test('events that follow a dead letter of the same order are parked in order, and other orders continue', async () => {
  const { refuse } = poison(['bad']);
  const { deliver, effects, letters, performed } = setUp({
    async perform(events) {
      refuse(events);
      performed.push(events.map(({ eventId }) => eventId));
      return '';
    },
  });
  await deliver(event('bad', 'x'), event('x2', 'x'), event('y1', 'y'));
  await deliver(event('x3', 'x'), event('y2', 'y'));
  assert.deepEqual(effects(), ['y1', 'y2']);
  assert.deepEqual(letters(), [
    ['x', 'bad', 'RangeError: cannot stomach this'],
    ['x', 'x2', undefined],
    ['x', 'x3', undefined],
  ]);
  assert.ok(!performed.flat().includes('x3'), 'perform is not called for a parked event');
  await deliver(event('x3', 'x'));
  assert.equal(letters().length, 3, 'a redelivered event is parked once');
});

test('an unreadable record parks no event of the order that is its key', async () => {
  const { deliver, effects } = setUp();
  await deliver(event('before', 'x'), junk('7', 'x'), event('behind', 'x'));
  await deliver(event('later', 'x'));
  assert.deepEqual(effects(), ['before', 'behind', 'later']);
});

for (const [what, record] of Object.entries({
  'an event type that is an object': { eventType: { toString: 1 }, orderId: 'ghost' },
  'an event type without a primitive value': { eventType: { valueOf: null, toString: null } },
}))
  test(`${what} is the fault of its record alone`, async () => {
    const { deliver, effects, store } = setUp();
    await deliver(event('e1'), junk('7', 'o1', record), event('e2'));
    assert.deepEqual(effects(), ['e1', 'e2']);
    assert.equal(store.tables.letters.length, 1);
  });

test('an error that reading throws is the fault of its record alone', async () => {
  const { deliver, effects, store } = setUp({
    read({ record }) {
      if (record === 'not json') throw new TypeError('cannot convert object to primitive value');
      return { event: record as ReturnType<typeof event> };
    },
  });
  await deliver(event('e1'), junk('7', 'o1'), event('e2'));
  assert.deepEqual(effects(), ['e1', 'e2']);
  assert.match(store.tables.letters[0]?.error ?? '', /cannot be read: TypeError: cannot convert/);
});

test('the dead letter of an event names the topic that the event came from', async () => {
  const { refuse } = poison(['bad']);
  const { deliver, store } = setUp({
    topics: ['raw.inventory-events', 'raw.payment-events', 'raw.order-events'],
    apply: async (_tx, events) => {
      refuse(events);
      return [];
    },
  });
  await deliver(event('bad'));
  assert.deepEqual(
    store.tables.letters.map(({ topic }) => topic),
    ['raw.order-events'],
  );
});

/** A dead letter of order x with two events parked behind it, and an applied event of order y. */
test('work given to afterCommit runs after the commit, and a fault in it is only logged', async () => {
  const done: string[][] = [];
  const it = setUp({
    async apply(_tx, events, _performed, afterCommit) {
      afterCommit(async () => void done.push(it.effects()));
      afterCommit(async () => {
        throw new RangeError('the work failed');
      });
      return events.map(({ orderId, eventId }) => readyEvent(orderId, NOON, eventId));
    },
  });
  await it.deliver(event('e1'));
  assert.deepEqual([done, it.letters()], [[['e1']], []]);
  assert.equal(it.log.at('warn').length, 1);
  await it.deliver(event('e1'));
  assert.equal(done.length, 1, 'the work does not run for an event that was processed before');
});

test('work given to afterCommit does not run if the transaction is rolled back', async () => {
  let done = 0;
  const { deliver } = setUp({
    async apply(_tx, _events, _performed, afterCommit) {
      afterCommit(async () => {
        done += 1;
      });
      throw new TiffinError('UNAVAILABLE', 'unreachable');
    },
  });
  await assert.rejects(deliver(event('e1')), { code: 'UNAVAILABLE' });
  assert.equal(done, 0);
});

// --- an idempotent consumer

test('an idempotent consumer marks no events as processed, and handles a redelivered event again', async () => {
  const { deliver, performed, applied, store, settled } = setUp({ isIdempotent: true });
  await deliver(event('e1'), event('e1'));
  await deliver(event('e1'), event('e2'));
  assert.deepEqual(performed, [['e1'], ['e1', 'e2']]);
  assert.deepEqual(applied, performed);
  assert.equal(store.tables.processed.size, 0, 'no event is marked');
  assert.equal(settled(), 2);
});

test('an idempotent consumer neither queries for processed events nor claims events', async () => {
  const { deps, consumer, store } = setUp({ isIdempotent: true });
  const screened: (readonly string[])[] = [];
  const { screen } = deps.deadLetters;
  const { run } = store.transactions;
  const { handle } = subscriptionOf(
    {
      ...deps,
      deadLetters: {
        ...deps.deadLetters,
        screen: (name, eventIds, orderIds) => {
          screened.push(eventIds, orderIds);
          return screen(name, eventIds, orderIds);
        },
      },
      transactions: {
        run: (work) =>
          run((tx) => work({ ...tx, claimEvents: async () => assert.fail('it claimed events') })),
      },
    },
    consumer,
  );
  await handle({ deliveries: [deliveryOf(event('e1', 'x'))], settle: async () => {} });
  assert.deepEqual(screened, [[], ['x']], 'only the order is looked up');
});

test('events of an idempotent consumer that follow a dead letter are parked once each, and replayed in order', async () => {
  const { state, refuse } = poison(['bad']);
  const { deliver, letters, store, firstLetter, replay, performed, meter } = setUp({
    isIdempotent: true,
    async perform(events) {
      refuse(events);
      performed.push(events.map(({ eventId }) => eventId));
      return '';
    },
  });
  await deliver(event('bad', 'x'), event('x2', 'x'), event('y1', 'y'));
  for (let again = 0; again < 5; again += 1)
    await deliver(event('bad', 'x'), event('x2', 'x'), event('x3', 'x'));
  assert.deepEqual(performed, [['y1']]);
  assert.deepEqual(letters(), [
    ['x', 'bad', 'RangeError: cannot stomach this'],
    ['x', 'x2', undefined],
    ['x', 'x3', undefined],
  ]);
  assert.equal(meter.total('dead_letters'), 1);
  state.on = false;
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 3);
  assert.deepEqual([performed, letters()], [[['y1'], ['bad'], ['x2'], ['x3']], []]);
});

// --- a consumer of external records

/** Reads `{ order, say }` as an event of that order; skips 'nothing', and refuses 'new word' until `learn` is called. */
