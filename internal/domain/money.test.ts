/** Tests of parsing and formatting amounts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { currencyFault, MAX_MINOR, parseDecimal, toDecimal, toDecimalText } from './money.ts';

const AMOUNTS: readonly [input: string | number, minor: number][] = [
  [0, 0],
  ['0', 0],
  [-0, 0],
  [12.5, 1250],
  ['12.5', 1250],
  ['12.50', 1250],
  ['12.5000', 1250],
  ['007.05', 705],
  [' 12.34 ', 1234],
  [19.99, 1999],
  [0.1, 10],
  [1.005e3, 100_500],
  [9_999_999_999.99, MAX_MINOR],
  ['9999999999.99', MAX_MINOR],
];
for (const [input, minor] of AMOUNTS) {
  test(`the ${typeof input} ${JSON.stringify(input)} is parsed as ${minor} minor units`, () => {
    assert.deepEqual(parseDecimal(input), { minor });
  });
}

const FAULTS: readonly [input: string | number, fault: RegExp][] = [
  [-1, /negative/],
  ['-0.01', /negative/],
  [12.345, /two decimals/],
  ['12.345', /two decimals/],
  [0.1 + 0.2, /two decimals/],
  [1e-7, /two decimals/],
  [1e10, /at most 9999999999\.99/],
  [1e300, /at most 9999999999\.99/],
  ['10000000000', /at most 9999999999\.99/],
  ['1'.repeat(40), /at most 9999999999\.99/],
  [Number.NaN, /must be a number/],
  [Number.POSITIVE_INFINITY, /must be a number/],
  ['', /decimal number/],
  ['12,50', /decimal number/],
  ['1e3', /decimal number/],
  ['.5', /decimal number/],
  ['12.', /decimal number/],
  ['0x10', /decimal number/],
  ['+5', /decimal number/],
  ['twelve', /decimal number/],
  ['١٢', /decimal number/],
];
for (const [input, fault] of FAULTS) {
  test(`the ${typeof input} ${String(input).slice(0, 20) || "''"} is refused, and the fault is named`, () => {
    const parsed = parseDecimal(input);
    assert.match('fault' in parsed ? parsed.fault : `parsed as ${parsed.minor}`, fault);
  });
}

test('an amount is unchanged after it was formatted as text, number or JSON and parsed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_MINOR }), (minor) => {
      assert.deepEqual(parseDecimal(toDecimalText(minor)), { minor });
      assert.deepEqual(parseDecimal(toDecimal(minor)), { minor });
      assert.deepEqual(parseDecimal(JSON.parse(JSON.stringify(toDecimal(minor)))), { minor });
      assert.match(toDecimalText(minor), /^\d+\.\d\d$/);
    }),
    { numRuns: 10_000 },
  );
});

test('any input is parsed as a safe integer of minor units, or gives a fault', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.double(), fc.integer(), fc.stringMatching(/^-?\d{1,20}(\.\d{0,6})?$/)),
      (input) => {
        const parsed = parseDecimal(input);
        if ('minor' in parsed) {
          assert.ok(Number.isSafeInteger(parsed.minor) && parsed.minor >= 0 && parsed.minor <= MAX_MINOR);
          assert.ok(parsed.minor === Math.round(Number(input) * 100), 'the parsed amount equals the input');
        } else assert.ok(parsed.fault.length > 0);
      },
    ),
    { numRuns: 10_000 },
  );
});

test('a currency with other than two decimals is refused with a reason', () => {
  for (const code of ['USD', 'EUR', 'INR', 'HUF', 'COP']) assert.equal(currencyFault(code), undefined, code);
  for (const code of ['JPY', 'KRW', 'KWD', 'TND', 'CLF'])
    assert.match(currencyFault(code) ?? '', /two decimals/);
  for (const code of ['usd', 'US', 'USDT', '', 'U\n'])
    assert.match(currencyFault(code) ?? '', /capital letters/);
});
