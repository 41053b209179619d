/** Tests of the price rules, on the documented example and at their limits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type PricingRules, priceOf } from './pricing.ts';

const RULES: PricingRules = { discountAboveMinor: 5_000, discountPercent: 10, feeMinor: 500 };
const line = (quantity: number, unitPriceMinor: number) => ({ quantity, unitPriceMinor });

test('a sushi set at 25.50 and two pho bo at 9.00 cost 48.50', () => {
  assert.deepEqual(priceOf([line(1, 2550), line(2, 900)], RULES), {
    baseMinor: 4_350,
    discountMinor: 0,
    feesMinor: 500,
    totalMinor: 4_850,
  });
});

test('a base of exactly 50.00 gets no discount, and a base of one cent more gets one', () => {
  assert.equal(priceOf([line(1, 5_000)], RULES).discountMinor, 0);
  assert.equal(priceOf([line(1, 5_001)], RULES).discountMinor, 500);
});

test('half a cent of discount is rounded up', () => {
  assert.equal(priceOf([line(1, 5_005)], RULES).discountMinor, 501);
  assert.equal(priceOf([line(1, 5_004)], RULES).discountMinor, 500);
});

test('the total is the base less the discount plus fees, and is the same for any order of the lines', () => {
  const lines = fc.array(
    fc.record({ quantity: fc.integer({ min: 1, max: 1_000 }), unitPriceMinor: fc.nat(1_000_000) }),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(lines, (some) => {
      const price = priceOf(some, RULES);
      assert.equal(price.totalMinor, price.baseMinor - price.discountMinor + price.feesMinor);
      assert.ok(price.discountMinor >= 0 && price.discountMinor <= price.baseMinor);
      assert.deepEqual(priceOf([...some].reverse(), RULES), price);
    }),
    { numRuns: 10_000 },
  );
});
