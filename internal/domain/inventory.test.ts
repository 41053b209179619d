/** Tests of how stock is allotted to orders, with a property test against a model that moves single units. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addUp, allot, type Line } from './inventory.ts';

const line = (itemId: string, quantity: number): Line => ({ itemId, quantity });
const stockOf = (stock: Record<string, number>) => new Map(Object.entries(stock));

describe('lines', () => {
  test('lines of one item are added up, in the order in which the items first appear', () => {
    assert.deepEqual(addUp([line('b', 1), line('a', 2), line('b', 3)]), [line('b', 4), line('a', 2)]);
    assert.deepEqual(addUp([]), []);
  });
});

describe('stock', () => {
  test('stock goes to the first order that asks for it', () => {
    const { shortages, left } = allot(stockOf({ a: 3 }), [[line('a', 2)], [line('a', 2)], [line('a', 1)]]);
    const short = { itemId: 'a', requested: 2, available: 1 };
    assert.deepEqual([shortages, [...left]], [[[], [short], []], [['a', 0]]]);
  });

  test('an order gets all its items or none, and every missing item is listed', () => {
    const { shortages, left } = allot(stockOf({ a: 9, b: 1, c: 0 }), [
      [line('a', 1), line('b', 2), line('c', 3)],
    ]);
    assert.deepEqual(shortages, [
      [
        { itemId: 'b', requested: 2, available: 1 },
        { itemId: 'c', requested: 3, available: 0 },
      ],
    ]);
    assert.equal(left.size, 0, 'no stock changed');
  });

  test('the lines of an item are compared with its stock as a sum', () => {
    const { shortages } = allot(stockOf({ a: 5 }), [[line('a', 3), line('a', 3)]]);
    assert.deepEqual(shortages, [[{ itemId: 'a', requested: 6, available: 5 }]]);
  });

  test('an unknown item has no stock', () => {
    const { shortages } = allot(new Map(), [[line('ghost', 1)]]);
    assert.deepEqual(shortages, [[{ itemId: 'ghost', requested: 1, available: 0 }]]);
  });

  test('an order can take the last unit', () => {
    assert.deepEqual(allot(stockOf({ a: 2 }), [[line('a', 2)]]), {
      shortages: [[]],
      left: new Map([['a', 0]]),
    });
  });
});

const ITEMS = ['a', 'b', 'c', 'ghost'] as const;
const lines = fc.array(
  fc.record({ itemId: fc.constantFrom(...ITEMS), quantity: fc.integer({ min: 1, max: 6 }) }),
  { minLength: 1, maxLength: 4 },
);
const stocks = fc.record({ a: fc.nat(12), b: fc.nat(12), c: fc.nat(12) });
/** A batch of orders, or the release of an earlier order's items. */
const steps = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ requests: fc.array(lines, { minLength: 1, maxLength: 5 }) }) },
    fc.record({ release: fc.nat() }),
  ),
  { maxLength: 12 },
);

/** The model: takes one order and one unit at a time; undefined if a unit is missing. */
function takeUnits(shelf: Map<string, string[]>, request: readonly Line[]): string[] | undefined {
  const taken: string[] = [];
  for (const { itemId, quantity } of request) {
    for (let unit = 0; unit < quantity; unit += 1) {
      const found = shelf.get(itemId)?.pop();
      if (found === undefined) {
        putBack(shelf, taken);
        return undefined;
      }
      taken.push(found);
    }
  }
  return taken;
}

function putBack(shelf: Map<string, string[]>, units: readonly string[]): void {
  for (const unit of units) shelf.get(unit.split('#')[0] as string)?.push(unit);
}

test('no run of orders and releases oversells stock, splits an order or loses a unit', () => {
  fc.assert(
    fc.property(stocks, steps, (initial, run) => {
      const stock = stockOf(initial);
      const shelf = new Map(
        Object.entries(initial).map(([item, count]) => [
          item,
          Array.from({ length: count }, (_, n) => `${item}#${n}`),
        ]),
      );
      const held: { lines: readonly Line[]; units: string[] }[] = [];
      for (const step of run) {
        if ('requests' in step) {
          const before = new Map(stock);
          const { shortages, left } = allot(stock, step.requests);
          assert.deepEqual(stock, before, 'the argument is not changed');
          assert.equal(shortages.length, step.requests.length, 'each order has a list of shortages');
          for (const [n, lines] of step.requests.entries()) {
            const units = takeUnits(shelf, lines);
            assert.equal(shortages[n]?.length === 0, units !== undefined, 'all of an order, or nothing');
            if (units) held.push({ lines: addUp(lines), units });
            else for (const { requested, available } of shortages[n]!) assert.ok(available < requested);
          }
          for (const [item, count] of left) stock.set(item, count);
        } else if (held.length > 0) {
          const [{ lines, units }] = held.splice(step.release % held.length, 1) as [(typeof held)[number]];
          for (const { itemId, quantity } of lines) stock.set(itemId, (stock.get(itemId) ?? 0) + quantity);
          putBack(shelf, units);
        }
        for (const [item, count] of Object.entries(initial)) {
          const out = held.flatMap(({ lines }) => lines.filter(({ itemId }) => itemId === item));
          const sold = out.reduce((sum, { quantity }) => sum + quantity, 0);
          assert.ok(stock.get(item)! >= 0, 'never oversold');
          assert.equal(
            stock.get(item)! + sold,
            count,
            'reserved and remaining units add up to the initial stock',
          );
          assert.equal(shelf.get(item)!.length, stock.get(item), 'the stock equals that of the model');
        }
      }
      assert.equal(stock.get('ghost') ?? 0, 0);
    }),
    { numRuns: 10_000 },
  );
});
