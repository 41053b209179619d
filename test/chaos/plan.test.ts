/** Tests of the plan of faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFault, type Stream } from './fault.ts';
import { kindsOn, planOf } from './plan.ts';

const STREAMS: Stream[] = ['postgres', 'kafka'];
const SEEDS = Array.from({ length: 20 }, (_, n) => n + 1);

const wordsOf = (seed: number, stream: Stream, length: number) =>
  planOf(seed, stream, length).map(describeFault);

test('the same seed gives the same faults, and another seed gives others', () => {
  for (const stream of STREAMS) {
    assert.deepEqual(wordsOf(42, stream, 50), wordsOf(42, stream, 50));
    assert.notDeepEqual(wordsOf(42, stream, 50), wordsOf(43, stream, 50));
  }
});

test('a longer plan begins with the shorter one, so a seed can be tried with fewer faults', () => {
  for (const stream of STREAMS) assert.deepEqual(wordsOf(42, stream, 50).slice(0, 7), wordsOf(42, stream, 7));
});

for (const [faults, least] of [
  [5, 1],
  [10, 2],
] as const)
  test(`the first twenty seeds with ${faults} faults each cause every kind of fault at least ${least} times`, () => {
    for (const stream of STREAMS) {
      const planned = SEEDS.flatMap((seed) => planOf(seed, stream, faults).map(({ kind }) => kind));
      for (const { kind } of kindsOn(stream)) {
        const times = planned.filter((one) => one === kind).length;
        assert.ok(times >= least, `'${kind}' comes ${times} times on the stream ${stream}`);
      }
    }
  });

test('each kind of fault has a name of its own', () => {
  for (const stream of STREAMS) {
    const names = kindsOn(stream).map(({ kind }) => kind);
    assert.equal(new Set(names).size, names.length);
  }
});

test('only a run on Kafka has faults of Kafka', () => {
  const ofKafka = (stream: Stream) =>
    wordsOf(1, stream, 500).filter((words) => /kafka|event-relay/i.test(words));
  assert.deepEqual(ofKafka('postgres'), []);
  assert.notDeepEqual(ofKafka('kafka'), []);
});
