/** Tests of due times, of the limit for scheduling ahead, and of the names of schedules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalTime, dueTime, isTooFarAhead, MAX_AHEAD_MS, scheduleName, toRfc3339 } from './schedule.ts';

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

test('a time in lower case and a leap second get the form that JavaScript reads', () => {
  const forms = {
    '2030-01-01t12:00:00z': '2030-01-01T12:00:00Z',
    '2030-01-01t12:00:00.5+05:30': '2030-01-01T12:00:00.5+05:30',
    '2016-12-31T23:59:60Z': '2016-12-31T23:59:59.999Z',
    '2016-12-31t23:59:60.75z': '2016-12-31T23:59:59.999Z',
    '2017-01-01T05:29:60+05:30': '2017-01-01T05:29:59.999+05:30',
  };
  for (const [text, form] of Object.entries(forms)) assert.equal(canonicalTime(text), form);
  // No leap second: the minute is not the last of a day in UTC, or there is no such time.
  for (const text of ['2016-12-31T23:58:60Z', '2016-12-31T23:59:60+01:00', '2016-12-31T23:59:61Z', 'tz', ''])
    assert.equal(canonicalTime(text), text.replace(/z$/, 'Z'));
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
