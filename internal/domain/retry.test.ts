/** Tests of the exponential backoff and its cap. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from './errors.ts';
import { backoffAfter, backoffMs, MAX_ATTEMPTS } from './retry.ts';

const delays = (error: unknown) =>
  [1, 2, 3, 4, 5, 6, 7, 8, 9].map((failures) => backoffAfter(error, failures));

test('the delay after a fault that passes doubles from 50 milliseconds up to half a second', () => {
  assert.deepEqual(
    delays(new TiffinError('UNAVAILABLE', 'away')),
    [50, 100, 200, 400, 500, 500, 500, 500, 500],
  );
});

test('the delay after any other fault goes up to five seconds', () => {
  assert.deepEqual(delays(new RangeError('a mistake')), [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
});

test('the delay stays within its bounds for zero failures and for very many', () => {
  assert.deepEqual(
    [0, 1_000, Number.MAX_SAFE_INTEGER].map((failures) => backoffMs(failures)),
    [50, 500, 500],
  );
});

test('a delivery is tried three times before it becomes a dead letter', () => {
  assert.equal(MAX_ATTEMPTS, 3);
});
