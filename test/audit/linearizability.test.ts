/** Tests of the answers to requests that race the dispatch of their order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HistoryLine, historyOf } from '../../cmd/audit/history.ts';
import { linearizable } from '../../cmd/audit/order-model.ts';
import { RACES } from './races.ts';

function isLinearizable(lines: readonly HistoryLine[]): boolean {
  const { checked, violations } = linearizable(historyOf(lines));
  assert.equal(checked, 1);
  return violations.length === 0;
}

for (const [what, expected, lines] of RACES)
  test(`${what} is ${expected ? 'linearizable' : 'not linearizable'}`, () =>
    assert.equal(isLinearizable(lines), expected));
