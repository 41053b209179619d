/** How stock is allotted: what an order gets, what it is told it lacks, and what stays true whatever is asked and given back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addUp, allot, type Line } from './inventory.ts';

const line = (itemId: string, quantity: number): Line => ({ itemId, quantity });
const stockOf = (stock: Record<string, number>) => new Map(Object.entries(stock));

describe('lines', () => {
  test('of one item are added up, in the order in which the items first appear', () => {
    assert.deepEqual(addUp([line('b', 1), line('a', 2), line('b', 3)]), [line('b', 4), line('a', 2)]);
    assert.deepEqual(addUp([]), []);
  });
});

describe('stock', () => {
  test('goes to whoever comes first', () => {
    const { shortages, left } = allot(stockOf({ a: 3 }), [[line('a', 2)], [line('a', 2)], [line('a', 1)]]);
    const short = { itemId: 'a', requested: 2, available: 1 };
    assert.deepEqual([shortages, [...left]], [[[], [short], []], [['a', 0]]]);
  });

  test('is taken for a whole order or not at all, and all that it lacks is named', () => {
    const { shortages, left } = allot(stockOf({ a: 9, b: 1, c: 0 }), [
      [line('a', 1), line('b', 2), line('c', 3)],
    ]);
    assert.deepEqual(shortages, [
      [
        { itemId: 'b', requested: 2, available: 1 },
        { itemId: 'c', requested: 3, available: 0 },
      ],
    ]);
    assert.equal(left.size, 0, 'what did not change is not written');
  });

  test('is judged by the sum of the lines of an item', () => {
    const { shortages } = allot(stockOf({ a: 5 }), [[line('a', 3), line('a', 3)]]);
    assert.deepEqual(shortages, [[{ itemId: 'a', requested: 6, available: 5 }]]);
  });

  test('of an item that is not there is none', () => {
    const { shortages } = allot(new Map(), [[line('ghost', 1)]]);
    assert.deepEqual(shortages, [[{ itemId: 'ghost', requested: 1, available: 0 }]]);
  });

  test('may be taken to the last unit', () => {
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
/** A batch of orders, or giving back what one of those before it got. */
const steps = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ asked: fc.array(lines, { minLength: 1, maxLength: 5 }) }) },
    fc.record({ back: fc.nat() }),
  ),
  { maxLength: 12 },
);

/** One order at a time, one unit at a time: too slow to ship, too simple to be wrong. */
function takeUnits(shelf: Map<string, string[]>, asked: readonly Line[]): string[] | undefined {
  const taken: string[] = [];
  for (const { itemId, quantity } of asked) {
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

test('whatever is asked and given back, nothing is oversold, split or lost', () => {
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
        if ('asked' in step) {
          const before = new Map(stock);
          const { shortages, left } = allot(stock, step.asked);
          assert.deepEqual(stock, before, 'what was given in is not changed');
          assert.equal(shortages.length, step.asked.length, 'each order has an answer');
          for (const [n, lines] of step.asked.entries()) {
            const units = takeUnits(shelf, lines);
            assert.equal(shortages[n]?.length === 0, units !== undefined, 'all of an order, or nothing');
            if (units) held.push({ lines: addUp(lines), units });
            else for (const { requested, available } of shortages[n]!) assert.ok(available < requested);
          }
          for (const [item, count] of left) stock.set(item, count);
        } else if (held.length > 0) {
          const [{ lines, units }] = held.splice(step.back % held.length, 1) as [(typeof held)[number]];
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
            'what is held and what is left are all there ever was',
          );
          assert.equal(shelf.get(item)!.length, stock.get(item), 'as many as on the shelf');
        }
      }
      assert.equal(stock.get('ghost') ?? 0, 0);
    }),
    { numRuns: 10_000 },
  );
});
