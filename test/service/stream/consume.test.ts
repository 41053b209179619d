/** The consumer wrapper: each event takes effect once, poison is set aside, and what belongs behind it waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { Event } from '../../../internal/domain/events.ts';
import { type ConsumeDeps, subscriptionOf } from '../../../internal/service/stream/consume.ts';
import type { AnyConsumer, Consumer } from '../../../internal/service/stream/consumer.ts';
import type { Delivery } from '../../../internal/service/stream/ports.ts';
import { replayLetters } from '../../../internal/service/stream/replay-letters.ts';
import { processingEvent, readyEvent } from '../../support/builders.ts';
import { deliveryOf, memoryStore } from '../../support/in-memory.ts';
import { NOON } from '../../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';

type Step = Consumer<'order.processing', string>;

/** A consumer that stores an event for each it takes, so that effects and their rollback can be seen. */
function setUp(changes: Partial<Step> = {}) {
  const store = memoryStore();
  const log = recordingLog();
  const meter = recordingMeter();
  const deps: ConsumeDeps = { ...store, log, meter };
  const performed: string[][] = [];
  const applied: string[][] = [];
  const consumer: Step = {
    name: 'tester',
    topics: ['raw.order-events'],
    types: ['order.processing'],
    async perform(events) {
      performed.push(events.map(({ eventId }) => eventId));
      return 'performed';
    },
    async apply(_tx, events) {
      applied.push(events.map(({ eventId }) => eventId));
      return events.map(({ orderId, eventId }) => readyEvent(orderId, NOON, `effect of ${eventId}`));
    },
    ...changes,
  };
  let settled = 0;
  const { handle } = subscriptionOf(deps, consumer as AnyConsumer);
  return {
    store,
    deps,
    log,
    meter,
    performed,
    applied,
    consumer: consumer as AnyConsumer,
    settled: () => settled,
    /** Delivers events, or records that are none. */
    deliver: (...records: (Event | Delivery)[]) =>
      handle({
        deliveries: records.map((record) =>
          'topic' in record ? record : deliveryOf(record, 'raw.order-events'),
        ),
        async settle() {
          settled += 1;
        },
      }),
    effects: () => store.bus.events.map(({ eventId }) => eventId.replace('effect of ', '')),
    letters: () => store.tables.letters.map(({ orderId, eventId, error }) => [orderId, eventId, error]),
    replay: () => replayLetters(deps, consumer as AnyConsumer),
    firstLetter: async () => (await store.deadLetters.list({ limit: 1 }))[0]?.id ?? 'none',
  };
}

const event = (id: string, orderId = `order of ${id}`) => processingEvent(orderId, id);
const junk = (position: string, key: string, record: unknown = 'not json'): Delivery => ({
  topic: 'raw.order-events',
  key,
  position,
  record,
});

/** Fails on these events, for as long as `on` says so. */
function poison(ids: readonly string[], fault: () => Error = () => new RangeError('cannot stomach this')) {
  const state = { on: true, attempts: 0 };
  const refuse = (events: readonly Event[]) => {
    if (!state.on || !events.some(({ eventId }) => ids.includes(eventId))) return;
    state.attempts += 1;
    throw fault();
  };
  return { state, refuse };
}

test('a batch takes effect together, with the progress of the reader', async () => {
  const { deliver, effects, applied, performed, settled, meter } = setUp();
  await deliver(event('e1'), event('e2'));
  assert.deepEqual([performed, applied], [[['e1', 'e2']], [['e1', 'e2']]]);
  assert.deepEqual(effects(), ['e1', 'e2']);
  assert.deepEqual([settled(), meter.total('events_consumed')], [1, 2]);
});

test('what was performed is handed to what is applied', async () => {
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

test('an event that is delivered again, or twice in one batch, takes effect once', async () => {
  const { deliver, effects, performed, settled } = setUp();
  await deliver(event('e1'), event('e1'));
  await deliver(event('e1'), event('e2'));
  await deliver(event('e1'), event('e2'));
  assert.deepEqual(effects(), ['e1', 'e2']);
  assert.deepEqual(performed, [['e1'], ['e2']]);
  assert.equal(settled(), 3, 'the reader moves on all the same');
});

test('another consumer handles the same event for itself', async () => {
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

test('events of other types are passed over, known or not', async () => {
  const { deliver, applied, letters } = setUp();
  await deliver(readyEvent('o1', NOON), junk('1', 'o1', { eventType: 'order.exploded' }));
  assert.deepEqual([applied, letters()], [[], []]);
});

test('one poisonous event is tried three times and set aside, and its neighbours take effect', async () => {
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

test('what a failing batch had stored is rolled back before its events are tried one by one', async () => {
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

test('an event that fails once and then goes well is not set aside', async () => {
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

test('a fault that passes by itself is thrown on, and nothing has happened', async () => {
  const { refuse } = poison(['e2'], () => new TiffinError('UNAVAILABLE', 'away'));
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

test('a dependency that goes away while events are tried one by one makes no dead letters', async () => {
  let calls = 0;
  const { deliver, effects, letters, settled } = setUp({
    async perform() {
      calls += 1;
      if (calls === 1) throw new RangeError('the batch fails');
      if (calls === 3) throw new TiffinError('UNAVAILABLE', 'away');
      return '';
    },
  });
  await assert.rejects(deliver(event('e1'), event('e2')), { code: 'UNAVAILABLE' });
  assert.deepEqual([effects(), letters(), settled()], [['e1'], [], 0]);
  await deliver(event('e1'), event('e2'));
  assert.deepEqual([effects(), settled()], [['e1', 'e2'], 1]);
});

test('a record that is no event becomes a dead letter as it is, once, and holds up nobody', async () => {
  const { deliver, effects, letters, store, meter } = setUp();
  await deliver(junk('7', 'o1'), event('e1'), junk('8', '', { eventType: 'order.processing' }));
  assert.deepEqual(effects(), ['e1']);
  assert.deepEqual(
    letters().map(([orderId, eventId]) => [orderId, eventId]),
    [
      ['o1', 'raw.order-events/7'],
      ['', 'raw.order-events/8'],
    ],
  );
  assert.equal(store.tables.letters[0]?.record, 'not json');
  assert.equal(meter.total('dead_letters'), 2);
  await deliver(junk('7', 'o1'), junk('8', '', { eventType: 'order.processing' }));
  assert.equal(letters().length, 2);
});

test('a dead letter that is delivered again is counted once', async () => {
  const { deliver, meter } = setUp();
  await deliver(junk('7', 'o1'));
  await deliver(junk('7', 'o1'));
  assert.equal(meter.total('dead_letters'), 1);
});

test('what follows a dead letter of the same order is parked behind it, in order; other orders flow', async () => {
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
  assert.ok(!performed.flat().includes('x3'), 'what is parked is not even performed');
  await deliver(event('x3', 'x'));
  assert.equal(letters().length, 3, 'and parked once');
});

test('what follows an unreadable record of the same order in the same batch is parked behind it', async () => {
  const { deliver, effects } = setUp();
  await deliver(event('before', 'x'), junk('7', 'x'), event('behind', 'x'));
  assert.deepEqual(effects(), ['before']);
});

/** Three events of order x of which the first is dead, and one of order y that flowed. */
async function withDeadLetter() {
  const poisoned = poison(['bad']);
  const it = setUp({
    async perform(events) {
      poisoned.refuse(events);
      return '';
    },
  });
  await it.deliver(event('bad', 'x'), event('x2', 'x'), event('x3', 'x'), event('y1', 'y'));
  assert.deepEqual(it.effects(), ['y1']);
  return { ...it, poisoned: poisoned.state };
}

test('nothing is replayed before it is asked for', async () => {
  const { replay, effects, letters } = await withDeadLetter();
  assert.equal(await replay(), 0);
  assert.deepEqual([effects(), letters().length], [['y1'], 3]);
});

test('a replayed letter takes effect, and what is parked behind it follows in order', async () => {
  const { replay, effects, letters, poisoned, store, firstLetter, deliver } = await withDeadLetter();
  poisoned.on = false;
  assert.equal(await store.deadLetters.requestReplay(await firstLetter()), true);
  assert.equal(await replay(), 3);
  assert.deepEqual([effects(), letters()], [['y1', 'bad', 'x2', 'x3'], []]);
  await deliver(event('bad', 'x'), event('x2', 'x'), event('x4', 'x'));
  assert.deepEqual(effects(), ['y1', 'bad', 'x2', 'x3', 'x4'], 'and nothing twice');
});

test('a letter that fails again stays with its new fault, and what is parked stays behind it', async () => {
  const { replay, effects, letters, store, firstLetter, log } = await withDeadLetter();
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 0);
  assert.deepEqual([effects(), letters().length], [['y1'], 3]);
  assert.equal(store.tables.letters[0]?.retryCount, 4);
  assert.ok(log.at('warn').some(({ message }) => message === 'a dead letter failed again'));
  assert.equal(await replay(), 0, 'it is not tried before it is asked for again');
  assert.equal(store.tables.letters[0]?.retryCount, 4);
});

test('a dependency that is away during a replay leaves the letter as it is, to be tried again', async () => {
  let isAway = true;
  const poisoned = poison(['bad']);
  const { deliver, replay, store, letters, firstLetter, effects } = setUp({
    async perform(events) {
      poisoned.refuse(events);
      if (isAway && !poisoned.state.on) throw new TiffinError('UNAVAILABLE', 'away');
      return '';
    },
  });
  await deliver(event('bad', 'x'));
  poisoned.state.on = false;
  await store.deadLetters.requestReplay(await firstLetter());
  await assert.rejects(replay(), { code: 'UNAVAILABLE' });
  assert.equal(letters().length, 1);
  isAway = false;
  assert.equal(await replay(), 1);
  assert.deepEqual(effects(), ['bad']);
});

test('when a letter is given up, what is parked behind it goes on', async () => {
  const { replay, effects, letters, store, firstLetter } = await withDeadLetter();
  assert.equal(await store.deadLetters.discard(await firstLetter()), true);
  assert.equal(await replay(), 2);
  assert.deepEqual([effects(), letters()], [['y1', 'x2', 'x3'], []]);
});

test('a record that is no event can be replayed only in vain, and be given up', async () => {
  const { deliver, replay, store, letters, firstLetter } = setUp();
  await deliver(junk('7', 'o1'));
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 0);
  assert.equal(letters().length, 1);
  await store.deadLetters.discard(await firstLetter());
  assert.deepEqual([await replay(), letters()], [0, []]);
});

test('two processes that replay the same letter make it take effect once', async () => {
  const { deps, consumer, applied, poisoned, store, firstLetter } = await withDeadLetter();
  poisoned.on = false;
  await store.deadLetters.requestReplay(await firstLetter());
  await Promise.all([replayLetters(deps, consumer), replayLetters(deps, consumer)]);
  assert.deepEqual(applied.slice(-3), [['bad'], ['x2'], ['x3']]);
  assert.equal(applied.filter(([first]) => first === 'bad').length, 1);
});

test('work after the commit is done once that is stored, and a fault in it is logged and no more', async () => {
  const done: string[][] = [];
  const it = setUp({
    async apply(_tx, events, _performed, afterCommit) {
      afterCommit(async () => void done.push(it.effects()));
      afterCommit(async () => {
        throw new RangeError('left undone');
      });
      return events.map(({ orderId, eventId }) => readyEvent(orderId, NOON, eventId));
    },
  });
  await it.deliver(event('e1'));
  assert.deepEqual([done, it.letters()], [[['e1']], []]);
  assert.equal(it.log.at('warn').length, 1);
  await it.deliver(event('e1'));
  assert.equal(done.length, 1, 'and not for an event that had taken effect');
});

test('work after a commit that never came is not done', async () => {
  let done = 0;
  const { deliver } = setUp({
    async apply(_tx, _events, _performed, afterCommit) {
      afterCommit(async () => {
        done += 1;
      });
      throw new TiffinError('UNAVAILABLE', 'away');
    },
  });
  await assert.rejects(deliver(event('e1')), { code: 'UNAVAILABLE' });
  assert.equal(done, 0);
});

// --- a consumer whose effect may be repeated

test('a consumer that may repeat what it does remembers nothing, and does it again when it is delivered again', async () => {
  const { deliver, performed, applied, store, settled } = setUp({ isIdempotent: true });
  await deliver(event('e1'), event('e1'));
  await deliver(event('e1'), event('e2'));
  assert.deepEqual(performed, [['e1'], ['e1', 'e2']]);
  assert.deepEqual(applied, performed);
  assert.equal(store.tables.processed.size, 0, 'no row is left for it');
  assert.equal(settled(), 2);
});

test('a consumer that may repeat what it does neither asks for what was seen nor claims events', async () => {
  const { deps, consumer, store } = setUp({ isIdempotent: true });
  const asked: (readonly string[])[] = [];
  const { screen } = deps.deadLetters;
  const { run } = store.transactions;
  const { handle } = subscriptionOf(
    {
      ...deps,
      deadLetters: {
        ...deps.deadLetters,
        screen: (name, eventIds, orderIds) => {
          asked.push(eventIds, orderIds);
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
  assert.deepEqual(asked, [[], ['x']], 'only which orders wait behind a dead letter');
});

test('a consumer that may repeat what it does still parks what follows a dead letter, each once, and goes on in order', async () => {
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

// --- a consumer that reads what others put on a topic

/** Reads `{ order, say }`: an event of that order, a word that means nothing here, or a fault. */
function reading(changes: Partial<Step> = {}) {
  let knows = false;
  const it = setUp({
    types: [],
    read({ topic, position, record }) {
      const { order, say } = record as { order?: string; say?: string };
      if (say === 'nothing') return undefined;
      if (say === 'new word' && !knows) return { fault: 'a word that is not known' };
      if (!order) return { fault: 'it names no order' };
      return { event: event(`${topic}/${position}#event`, order) };
    },
    ...changes,
  });
  return {
    ...it,
    /** A newer program, that knows the word. */
    learn: () => {
      knows = true;
    },
  };
}
const said = (position: string, record: unknown, key = 'k'): Delivery => ({
  topic: 'elsewhere',
  key,
  position,
  record,
});

test('records in a form of their own are read as events, once for each place they stand in', async () => {
  const { deliver, effects, letters } = reading();
  const batch = [said('0/1', { order: 'x' }), said('0/2', { order: 'x' })];
  await deliver(...batch);
  await deliver(...batch, said('0/3', { order: 'y' }));
  assert.deepEqual(effects(), ['elsewhere/0/1#event', 'elsewhere/0/2#event', 'elsewhere/0/3#event']);
  assert.deepEqual(letters(), []);
});

test('a record that is to be passed over leaves nothing, and the reader moves on', async () => {
  const { deliver, effects, letters, settled, store } = reading();
  await deliver(said('0/1', { say: 'nothing' }));
  assert.deepEqual([effects(), letters(), settled(), store.tables.processed.size], [[], [], 1, 0]);
});

test('a record with a fault becomes a dead letter as it came, and its neighbours take effect', async () => {
  const { deliver, effects, letters, store, settled } = reading();
  await deliver(said('0/1', { order: 'x' }), said('0/2', { say: 'what' }), said('0/3', { order: 'y' }));
  assert.deepEqual(effects(), ['elsewhere/0/1#event', 'elsewhere/0/3#event']);
  assert.deepEqual(letters(), [['k', 'elsewhere/0/2', 'it names no order']]);
  const { topic, record } = store.tables.letters[0] as { topic: string; record: unknown };
  assert.deepEqual([topic, record, settled()], ['elsewhere', { say: 'what' }, 1]);
});

test('a record that could not be read is replayed as its consumer reads it, from the place where it stood', async () => {
  const { deliver, replay, store, letters, firstLetter, effects, learn } = reading();
  const record = said('0/7', { order: 'x', say: 'new word' });
  await deliver(record);
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 0, 'nothing has changed');
  assert.deepEqual(letters(), [['k', 'elsewhere/0/7', 'a word that is not known']]);
  learn();
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 1);
  assert.deepEqual([effects(), letters()], [['elsewhere/0/7#event'], []]);
  await deliver(record);
  assert.deepEqual(effects(), ['elsewhere/0/7#event'], 'delivered again it is the same event');
});

test('a record that took effect when it was delivered again does not do so once more when its letter is replayed', async () => {
  const { deliver, replay, store, letters, firstLetter, applied, learn } = reading();
  const record = said('0/7', { order: 'x', say: 'new word' });
  await deliver(record);
  learn();
  await deliver(record);
  await store.deadLetters.requestReplay(await firstLetter());
  await replay();
  assert.deepEqual([applied, letters()], [[['elsewhere/0/7#event']], []]);
});

test('an event of a record that was read, and could not be handled, is replayed as that event', async () => {
  const poisoned = poison(['elsewhere/0/1#event']);
  const { deliver, replay, store, letters, firstLetter, effects } = reading({
    async perform(events) {
      poisoned.refuse(events);
      return '';
    },
  });
  await deliver(said('0/1', { order: 'x' }), said('0/2', { order: 'x' }));
  assert.deepEqual(
    letters().map(([orderId, eventId]) => [orderId, eventId]),
    [
      ['x', 'elsewhere/0/1#event'],
      ['x', 'elsewhere/0/2#event'],
    ],
    'what follows of that order is parked',
  );
  poisoned.state.on = false;
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 2);
  assert.deepEqual([effects(), letters()], [['elsewhere/0/1#event', 'elsewhere/0/2#event'], []]);
});

test('a letter that its consumer passes over by now goes without an effect', async () => {
  const { deliver, replay, store, letters, firstLetter, effects, performed } = reading();
  const record = { say: 'what' };
  await deliver(said('0/1', record));
  record.say = 'nothing';
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 1);
  assert.deepEqual([effects(), letters(), performed], [[], [], []]);
});
