/** Tests of the runner of background loops: its sleep, wake, backoff, faults and stop. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TiffinError } from '../../internal/domain/errors.ts';
import { startLoop } from '../../internal/service/loop.ts';
import { recordingLog } from '../support/recording-log.ts';
import { gate, turns } from '../support/turns.ts';

/** A loop with a mocked clock; `rounds` returns how often it ran. */
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

const unavailable = () => {
  throw new TiffinError('UNAVAILABLE', 'the dependency is unreachable');
};

test('a loop sleeps exactly as long as its round returned', async (t) => {
  const { loop, rounds, pass } = setUp(t, () => 100);
  await pass(0);
  assert.equal(rounds(), 1);
  await pass(99);
  assert.equal(rounds(), 1);
  await pass(1);
  assert.equal(rounds(), 2);
  await loop.stop();
});

test('a wake starts the next round at once', async (t) => {
  const { loop, rounds, pass } = setUp(t, () => 100);
  await pass(0);
  loop.wake();
  await pass(0);
  assert.equal(rounds(), 2);
  await pass(0);
  assert.equal(rounds(), 2, 'only one round was started');
  await loop.stop();
});

test('a wake during a round starts another round after it', async (t) => {
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

test('a stop waits for the current round, and no further round starts', async (t) => {
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

test('a stop ends the sleep between rounds and the backoff after a failure', async (t) => {
  const { loop, pass, rounds } = setUp(t, () => 1_000_000);
  await pass(0);
  await loop.stop();
  t.mock.timers.reset();
  const failing = setUp(t, unavailable);
  await failing.pass(0);
  await failing.loop.stop();
  assert.deepEqual([rounds(), failing.rounds()], [1, 1]);
});

test('a failed round is retried after 50, 100 and 200 milliseconds', async (t) => {
  const { loop, rounds, pass } = setUp(t, unavailable);
  await pass(0);
  for (const [index, wait] of [50, 100, 200].entries()) {
    await pass(wait - 1);
    assert.equal(rounds(), index + 1);
    await pass(1);
    assert.equal(rounds(), index + 2);
  }
  await loop.stop();
});

test('a successful round resets the backoff', async (t) => {
  const { loop, rounds, pass } = setUp(t, (rounds) => (rounds === 3 ? 0 : unavailable()));
  await pass(0);
  for (const wait of [50, 100, 0]) await pass(wait || 1);
  assert.equal(rounds(), 4);
  await pass(50);
  assert.equal(rounds(), 5);
  await loop.stop();
});

test('a wake does not shorten the backoff after a failure', async (t) => {
  const { loop, rounds, pass } = setUp(t, unavailable);
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

test('a transient fault is logged once while it lasts, and any other fault each time', async (t) => {
  const { loop, log, pass } = setUp(t, (rounds) => {
    if (rounds < 4) return unavailable();
    throw new RangeError('a programming error');
  });
  await pass(0);
  for (const wait of [50, 100, 200, 400]) await pass(wait);
  await loop.stop();
  assert.deepEqual(
    log.lines.map(({ level, message }) => [level, message]),
    [
      ['warn', 'test failed and is retried'],
      ['error', 'test failed and is retried'],
      ['error', 'test failed and is retried'],
    ],
  );
});

test('a round that fails, or does not end, is a fault of its loop until a round succeeds', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const round = gate();
  const { loop, pass } = setUp(t, async (rounds) => {
    if (rounds === 1) unavailable();
    if (rounds === 2) await round.promise;
    return 100;
  });
  await pass(0);
  assert.match(loop.fault() ?? '', /^test failed: .*the dependency is unreachable/);
  await pass(50);
  now += 30_001;
  assert.equal(loop.fault(), 'test does not go on');
  round.open();
  await pass(0);
  assert.equal(loop.fault(), undefined);
  await loop.stop();
});
