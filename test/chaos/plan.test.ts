/** Tests of the plan of faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POINTS } from './kill-points.ts';
import { type Fault, planOf, type Stream } from './plan.ts';

const STREAMS: Stream[] = ['postgres', 'kafka'];

test('the same seed gives the same faults, and another seed gives others', () => {
  for (const stream of STREAMS) {
    assert.deepEqual(planOf(42, stream, 50), planOf(42, stream, 50));
    assert.notDeepEqual(planOf(42, stream, 50), planOf(43, stream, 50));
  }
});

test('a longer plan begins with the shorter one, so a seed can be tried with fewer faults', () => {
  for (const stream of STREAMS) assert.deepEqual(planOf(42, stream, 50).slice(0, 7), planOf(42, stream, 7));
});

test('every kind of fault, and every point at which a process is killed, comes before any comes again', () => {
  const nameOf = (fault: Fault) => ('point' in fault ? fault.point : fault.kind);
  for (const stream of STREAMS) {
    const names = planOf(1, stream, 500).map(nameOf);
    const all = new Set(names);
    assert.equal(new Set(names.slice(0, all.size)).size, all.size);
    const points = Object.entries(POINTS).filter(([, point]) => !('only' in point) || point.only === stream);
    for (const [point] of points) assert.ok(all.has(point as keyof typeof POINTS), point);
  }
});

test('only a run on Kafka has faults of Kafka', () => {
  const ofKafka = (plan: Fault[]) => plan.filter((fault) => /kafka|event-relay/i.test(JSON.stringify(fault)));
  assert.deepEqual(ofKafka(planOf(1, 'postgres', 500)), []);
  assert.notDeepEqual(ofKafka(planOf(1, 'kafka', 500)), []);
});
