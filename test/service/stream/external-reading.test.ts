/** Consumers that read records of other systems in a form of their own, and their dead letters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Delivery } from '../../../internal/service/stream/ports.ts';
import { event, poison, type Step, consuming as setUp } from '../../support/consuming.ts';

function reading(changes: Partial<Step> = {}) {
  let hasLearnt = false;
  const it = setUp({
    types: [],
    read({ topic, position, record }) {
      const { order, say } = record as { order?: string; say?: string };
      if (say === 'nothing') return undefined;
      if (say === 'new word' && !hasLearnt) return { fault: 'an unknown word' };
      if (!order) return { fault: 'order is missing' };
      return { event: event(`${topic}/${position}#event`, order) };
    },
    ...changes,
  });
  return {
    ...it,
    /** Turns the consumer into one of a newer program, which accepts the word. */
    learn: () => {
      hasLearnt = true;
    },
  };
}
const external = (position: string, record: unknown, key = 'k'): Delivery => ({
  topic: 'elsewhere',
  key,
  position,
  record,
});

test('external records are read as events, and each position gives one event', async () => {
  const { deliver, effects, letters } = reading();
  const batch = [external('0/1', { order: 'x' }), external('0/2', { order: 'x' })];
  await deliver(...batch);
  await deliver(...batch, external('0/3', { order: 'y' }));
  assert.deepEqual(effects(), ['elsewhere/0/1#event', 'elsewhere/0/2#event', 'elsewhere/0/3#event']);
  assert.deepEqual(letters(), []);
});

test('a record that the consumer skips has no effect, and its batch is settled', async () => {
  const { deliver, effects, letters, settled, store } = reading();
  await deliver(external('0/1', { say: 'nothing' }));
  assert.deepEqual([effects(), letters(), settled(), store.tables.processed.size], [[], [], 1, 0]);
});

test('an external record with a fault becomes a dead letter with its content, and the other records take effect', async () => {
  const { deliver, effects, letters, store, settled } = reading();
  await deliver(
    external('0/1', { order: 'x' }),
    external('0/2', { say: 'what' }),
    external('0/3', { order: 'y' }),
  );
  assert.deepEqual(effects(), ['elsewhere/0/1#event', 'elsewhere/0/3#event']);
  assert.deepEqual(letters(), [['elsewhere/0/2', 'elsewhere/0/2', 'order is missing']]);
  const { topic, record } = store.tables.letters[0] as { topic: string; record: unknown };
  assert.deepEqual([topic, record, settled()], ['elsewhere', { say: 'what' }, 1]);
});

test('the dead letter of an unreadable record is replayed as its consumer reads it now, with its position', async () => {
  const { deliver, replay, store, letters, firstLetter, effects, learn } = reading();
  const record = external('0/7', { order: 'x', say: 'new word' });
  await deliver(record);
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 0, 'the consumer still refuses the record');
  assert.deepEqual(letters(), [['elsewhere/0/7', 'elsewhere/0/7', 'an unknown word']]);
  learn();
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 1);
  assert.deepEqual([effects(), letters()], [['elsewhere/0/7#event'], []]);
  await deliver(record);
  assert.deepEqual(effects(), ['elsewhere/0/7#event'], 'the redelivered record is the same event');
});

test('a record that took effect when it was redelivered takes no effect when its dead letter is replayed', async () => {
  const { deliver, replay, store, letters, firstLetter, applied, learn } = reading();
  const record = external('0/7', { order: 'x', say: 'new word' });
  await deliver(record);
  learn();
  await deliver(record);
  await store.deadLetters.requestReplay(await firstLetter());
  await replay();
  assert.deepEqual([applied, letters()], [[['elsewhere/0/7#event']], []]);
});

test('the dead letter of a readable record whose handling failed is replayed as the same event', async () => {
  const poisoned = poison(['elsewhere/0/1#event']);
  const { deliver, replay, store, letters, firstLetter, effects } = reading({
    async perform(events) {
      poisoned.refuse(events);
      return '';
    },
  });
  await deliver(external('0/1', { order: 'x' }), external('0/2', { order: 'x' }));
  assert.deepEqual(
    letters().map(([orderId, eventId]) => [orderId, eventId]),
    [
      ['x', 'elsewhere/0/1#event'],
      ['x', 'elsewhere/0/2#event'],
    ],
    'the next event of the order is parked',
  );
  poisoned.state.on = false;
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 2);
  assert.deepEqual([effects(), letters()], [['elsewhere/0/1#event', 'elsewhere/0/2#event'], []]);
});

test('a replayed dead letter that its consumer now skips is removed without an effect', async () => {
  const { deliver, replay, store, letters, firstLetter, effects, performed } = reading();
  const record = { say: 'what' };
  await deliver(external('0/1', record));
  record.say = 'nothing';
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 1);
  assert.deepEqual([effects(), letters(), performed], [[], [], []]);
});
