/** The cache that remembers a verified token for up to a minute. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { checkedTokens } from '../../internal/transport/http/checked-tokens.ts';

const NOW = 1_900_000_000_000;
const NEXT_DAY = NOW + 86_400_000;
const ME = { subject: 'me', roles: ['customer'] } as const;

function checked(t: TestContext) {
  t.mock.timers.enable({ apis: ['Date'], now: NOW });
  return checkedTokens();
}

test('the cache recalls a token until it expires, and no other token', (t) => {
  const tokens = checked(t);
  tokens.remember('t', ME, NOW + 30_000);
  assert.equal(tokens.recall('t'), ME);
  assert.equal(tokens.recall('T'), undefined);
  t.mock.timers.setTime(NOW + 29_999);
  assert.equal(tokens.recall('t'), ME);
  t.mock.timers.setTime(NOW + 30_000);
  assert.equal(tokens.recall('t'), undefined);
});

test('the cache forgets a token after a minute, even if it was recalled often', (t) => {
  const tokens = checked(t);
  tokens.remember('t', ME, NEXT_DAY);
  for (const time of [0, 30_000, 59_999]) {
    t.mock.timers.setTime(NOW + time);
    assert.equal(tokens.recall('t'), ME);
  }
  t.mock.timers.setTime(NOW + 60_000);
  assert.equal(tokens.recall('t'), undefined);
});

test('the cache stores up to ten thousand tokens, the latest included', (t) => {
  const tokens = checked(t);
  for (let n = 0; n < 20_000; n += 1) tokens.remember(`t-${n}`, ME, NEXT_DAY);
  const kept = Array.from({ length: 20_000 }, (_, n) => n).filter((n) => tokens.recall(`t-${n}`));
  assert.ok(kept.length <= 10_000 && kept.length >= 5_000, String(kept.length));
  assert.equal(kept.at(-1), 19_999);
});
