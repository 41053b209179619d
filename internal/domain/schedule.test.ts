/** Tests of due times, of the limit for scheduling ahead, and of the names of schedules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dueTime, isTooFarAhead, MAX_AHEAD_MS, scheduleName, toRfc3339 } from './schedule.ts';

const times = fc.integer({ min: 0, max: 4e12 });

test('an order is due at its scheduled time if that is in the future, else now', () => {
  assert.equal(dueTime(undefined, 100), 100);
  assert.equal(dueTime(101, 100), 101);
  assert.equal(dueTime(99, 100), 100);
});

test('an order can be scheduled exactly ten years ahead, and not one millisecond more', () => {
  assert.equal(isTooFarAhead(100 + MAX_AHEAD_MS, 100), false);
  assert.equal(isTooFarAhead(101 + MAX_AHEAD_MS, 100), true);
  assert.equal(isTooFarAhead(0, 100), false);
});

test('two schedules of one order, or of two orders, have different names', () => {
  assert.equal(scheduleName('a', 1), scheduleName('a', 1));
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z0-9._-]{1,8}$/),
      fc.stringMatching(/^[a-z0-9._-]{1,8}$/),
      times,
      times,
      (a, b, s, t) => {
        assert.equal(scheduleName(a, s) === scheduleName(b, t), a === b && s === t);
      },
    ),
  );
});

test('a time that is formatted and parsed is the same millisecond', () => {
  assert.equal(toRfc3339(1_893_499_200_007), '2030-01-01T12:00:00.007Z');
  fc.assert(fc.property(times, (time) => assert.equal(Date.parse(toRfc3339(time)), time)));
});
