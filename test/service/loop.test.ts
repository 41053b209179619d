/** The runner of loops: it sleeps as it is told, wakes when it is told, and stops between rounds. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TiffinError } from '../../internal/domain/errors.ts';
import { startLoop } from '../../internal/service/loop.ts';
import { recordingLog } from '../support/recording-log.ts';
import { gate, turns } from '../support/turns.ts';

/** A loop whose time the test moves; `rounds` counts how often it ran. */
function setUp(t: TestContext, round: (rounds: number) => number | Promise<number>) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const log = recordingLog();
  let rounds = 0;
  const loop = startLoop(
    'test',
    async () => {
      rounds += 1;
      return round(rounds);
    },
    log,
  );
  const pass = async (ms: number) => {
    await turns();
    t.mock.timers.tick(ms);
    await turns();
  };
  return { loop, log, rounds: () => rounds, pass };
}

const away = () => {
  throw new TiffinError('UNAVAILABLE', 'the dependency is away');
};

test('it sleeps as long as a round says, and no shorter', async (t) => {
  const { loop, rounds, pass } = setUp(t, () => 100);
  await pass(0);
  assert.equal(rounds(), 1);
  await pass(99);
  assert.equal(rounds(), 1);
  await pass(1);
  assert.equal(rounds(), 2);
  await loop.stop();
});

test('waking it begins the next round at once', async (t) => {
  const { loop, rounds, pass } = setUp(t, () => 100);
  await pass(0);
  loop.wake();
  await pass(0);
  assert.equal(rounds(), 2);
  await pass(0);
  assert.equal(rounds(), 2, 'and only that one');
  await loop.stop();
});

test('waking it while a round is under way is not lost', async (t) => {
  const round = gate();
  const { loop, rounds, pass } = setUp(t, async (rounds) => {
    if (rounds === 1) await round.promise;
    return 100;
  });
  await pass(0);
  loop.wake();
  round.open();
  await pass(0);
  assert.equal(rounds(), 2);
  await loop.stop();
});

test('stopping it waits for the round under way, and no other begins', async (t) => {
  const round = gate();
  const { loop, rounds, pass } = setUp(t, async () => {
    await round.promise;
    return 0;
  });
  await pass(0);
  let stopped = false;
  const stopping = loop.stop().then(() => {
    stopped = true;
  });
  await turns();
  assert.equal(stopped, false);
  round.open();
  await stopping;
  await pass(1_000);
  assert.equal(rounds(), 1);
});

test('stopping it wakes it from its sleep, also from the wait after a failure', async (t) => {
  const { loop, pass, rounds } = setUp(t, () => 1_000_000);
  await pass(0);
  await loop.stop();
  t.mock.timers.reset();
  const failing = setUp(t, away);
  await failing.pass(0);
  await failing.loop.stop();
  assert.deepEqual([rounds(), failing.rounds()], [1, 1]);
});

test('a round that fails is tried again after 50, 100 and 200 milliseconds', async (t) => {
  const { loop, rounds, pass } = setUp(t, away);
  await pass(0);
  for (const [index, wait] of [50, 100, 200].entries()) {
    await pass(wait - 1);
    assert.equal(rounds(), index + 1);
    await pass(1);
    assert.equal(rounds(), index + 2);
  }
  await loop.stop();
});

test('a round that succeeds makes the next failure the first again', async (t) => {
  const { loop, rounds, pass } = setUp(t, (rounds) => (rounds === 3 ? 0 : away()));
  await pass(0);
  for (const wait of [50, 100, 0]) await pass(wait || 1);
  assert.equal(rounds(), 4);
  await pass(50);
  assert.equal(rounds(), 5);
  await loop.stop();
});

test('what failed a moment ago is not woken to fail again', async (t) => {
  const { loop, rounds, pass } = setUp(t, away);
  await pass(0);
  loop.wake();
  await pass(0);
  loop.wake();
  await pass(49);
  assert.equal(rounds(), 1);
  await pass(1);
  assert.equal(rounds(), 2);
  await loop.stop();
});

test('a fault that passes is logged once while it lasts, and a mistake of ours each time', async (t) => {
  const { loop, log, pass } = setUp(t, (rounds) => {
    if (rounds < 4) return away();
    throw new RangeError('a mistake of ours');
  });
  await pass(0);
  for (const wait of [50, 100, 200, 400]) await pass(wait);
  await loop.stop();
  assert.deepEqual(
    log.lines.map(({ level, message }) => [level, message]),
    [
      ['warn', 'test failed and is tried again'],
      ['error', 'test failed and is tried again'],
      ['error', 'test failed and is tried again'],
    ],
  );
});
