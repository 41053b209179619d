/** Tests of the exponential backoff and its cap. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, MAX_ATTEMPTS } from './retry.ts';

test('the delay doubles from 50 milliseconds up to five seconds', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((failures) => backoffMs(failures)),
    [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000],
  );
});

test('the delay stays within its bounds for zero failures and for very many', () => {
  assert.deepEqual(
    [0, 1_000, Number.MAX_SAFE_INTEGER].map((failures) => backoffMs(failures)),
    [50, 5000, 5000],
  );
});

test('a delivery is tried three times before it becomes a dead letter', () => {
  assert.equal(MAX_ATTEMPTS, 3);
});
