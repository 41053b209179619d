/** Replaying and discarding dead letters: in order, once, and with the events parked behind them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import { replayLetters } from '../../../internal/service/stream/replay-letters.ts';
import { event, junk, poison, consuming as setUp } from '../../support/consuming.ts';

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

test('no dead letter is replayed before a replay is requested', async () => {
  const { replay, effects, letters } = await withDeadLetter();
  assert.equal(await replay(), 0);
  assert.deepEqual([effects(), letters().length], [['y1'], 3]);
});

test('a replayed dead letter takes effect, and the events parked behind it follow in order', async () => {
  const { replay, effects, letters, poisoned, store, firstLetter, deliver } = await withDeadLetter();
  poisoned.on = false;
  assert.equal(await store.deadLetters.requestReplay(await firstLetter()), true);
  assert.equal(await replay(), 3);
  assert.deepEqual([effects(), letters()], [['y1', 'bad', 'x2', 'x3'], []]);
  await deliver(event('bad', 'x'), event('x2', 'x'), event('x4', 'x'));
  assert.deepEqual(effects(), ['y1', 'bad', 'x2', 'x3', 'x4'], 'no event takes effect twice');
});

test('a dead letter whose replay fails stays with its new fault, and its events stay parked', async () => {
  const { replay, effects, letters, store, firstLetter, log } = await withDeadLetter();
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 0);
  assert.deepEqual([effects(), letters().length], [['y1'], 3]);
  assert.equal(store.tables.letters[0]?.retryCount, 4);
  assert.ok(log.at('warn').some(({ message }) => message === 'a replayed dead letter failed'));
  assert.equal(await replay(), 0, 'the letter is not replayed before the next request');
  assert.equal(store.tables.letters[0]?.retryCount, 4);
});

test('a replay while a dependency is unreachable is rejected, and the letter stays for a retry', async () => {
  let isReachable = false;
  const poisoned = poison(['bad']);
  const { deliver, replay, store, letters, firstLetter, effects } = setUp({
    async perform(events) {
      poisoned.refuse(events);
      if (!isReachable && !poisoned.state.on) throw new TiffinError('UNAVAILABLE', 'unreachable');
      return '';
    },
  });
  await deliver(event('bad', 'x'));
  poisoned.state.on = false;
  await store.deadLetters.requestReplay(await firstLetter());
  await assert.rejects(replay(), { code: 'UNAVAILABLE' });
  assert.equal(letters().length, 1);
  isReachable = true;
  assert.equal(await replay(), 1);
  assert.deepEqual(effects(), ['bad']);
});

test('the events parked behind a discarded dead letter take effect', async () => {
  const { replay, effects, letters, store, firstLetter } = await withDeadLetter();
  assert.equal(await store.deadLetters.discard(await firstLetter()), true);
  assert.equal(await replay(), 2);
  assert.deepEqual([effects(), letters()], [['y1', 'x2', 'x3'], []]);
});

test('the dead letter of an unreadable record fails every replay, and can be discarded', async () => {
  const { deliver, replay, store, letters, firstLetter } = setUp();
  await deliver(junk('7', 'o1'));
  await store.deadLetters.requestReplay(await firstLetter());
  assert.equal(await replay(), 0);
  assert.equal(letters().length, 1);
  await store.deadLetters.discard(await firstLetter());
  assert.deepEqual([await replay(), letters()], [0, []]);
});

test('a dead letter that two processes replay takes effect once', async () => {
  const { deps, consumer, applied, poisoned, store, firstLetter } = await withDeadLetter();
  poisoned.on = false;
  await store.deadLetters.requestReplay(await firstLetter());
  await Promise.all([replayLetters(deps, consumer), replayLetters(deps, consumer)]);
  assert.deepEqual(applied.slice(-3), [['bad'], ['x2'], ['x3']]);
  assert.equal(applied.filter(([first]) => first === 'bad').length, 1);
});
