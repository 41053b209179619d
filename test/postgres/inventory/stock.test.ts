/** Stock on a real Postgres: never oversold, reserved for whole orders only, released once, no deadlocks. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type Stockroom, stockroom } from '../../support/stockroom.ts';

describe('stock', () => {
  let room: Stockroom;
  before(async () => {
    room = await stockroom();
  });
  after(() => room.close());
  beforeEach(() => room.clear());
  const line = (itemId: string, quantity: number) => ({ itemId, quantity });
  const outcomes = async (...requests: Parameters<Stockroom['reserve']>) =>
    (await room.reserve(...requests)).outcomes.map(({ orderId, outcome }) => `${orderId} ${outcome}`);

  it('ten of fifty concurrent orders reserve the ten units, and the stock never falls below zero', async () => {
    await room.stock({ dal: 10 });
    const buyers = Array.from({ length: 50 }, (_, n) => `o-${n}`);
    const answers = await Promise.all(buyers.map((id) => outcomes([id, line('dal', 1)])));
    assert.equal(answers.flat().filter((answer) => answer.endsWith(' reserved')).length, 10);
    assert.equal(answers.flat().filter((answer) => answer.endsWith(' rejected')).length, 40);
    const states = Object.values(await room.reservations());
    assert.deepEqual(
      [await room.shelf(), states.filter((state) => state === 'reserved').length],
      [{ dal: 0 }, 10],
    );
    await room.assertNothingLost({ dal: 10 });
  });

  it('reservations follow the given sequence, each in full or not at all, and lines of the same item are added up', async () => {
    await room.stock({ dal: 5, rice: 1 });
    const { outcomes } = await room.reserve(
      ['a', line('dal', 2), line('dal', 1)],
      ['b', line('dal', 1), line('rice', 2)],
      ['c', line('rice', 1), line('dal', 2)],
      ['d', line('dal', 1)],
    );
    assert.deepEqual(outcomes, [
      { orderId: 'a', outcome: 'reserved', lines: [line('dal', 3)] },
      { orderId: 'b', outcome: 'rejected', missing: [{ itemId: 'rice', requested: 2, available: 1 }] },
      { orderId: 'c', outcome: 'reserved', lines: [line('rice', 1), line('dal', 2)] },
      { orderId: 'd', outcome: 'rejected', missing: [{ itemId: 'dal', requested: 1, available: 0 }] },
    ]);
    assert.deepEqual(await room.shelf(), { dal: 0, rice: 0 });
    assert.deepEqual(await room.reservations(), {
      a: 'reserved',
      b: 'rejected',
      c: 'reserved',
      d: 'rejected',
    });
  });

  it('an item without a stock row counts as out of stock', async () => {
    const { outcomes } = await room.reserve(['a', line('ghost', 1)]);
    assert.deepEqual(outcomes, [
      { orderId: 'a', outcome: 'rejected', missing: [{ itemId: 'ghost', requested: 1, available: 0 }] },
    ]);
    assert.deepEqual([await room.shelf(), await room.reservations()], [{}, { a: 'rejected' }]);
  });

  it('a rejected order reserves nothing later, even if the item is in stock again', async () => {
    assert.deepEqual(await outcomes(['a', line('dal', 1)]), ['a rejected']);
    await room.stock({ dal: 10 });
    assert.deepEqual(await outcomes(['a', line('dal', 1)]), []);
    assert.deepEqual([await room.release('a'), await room.shelf()], [[], { dal: 10 }]);
  });

  it('stock is reserved once for an order, even if requested several times, in one batch or in several', async () => {
    await room.stock({ dal: 10 });
    assert.deepEqual(await outcomes(['a', line('dal', 2)], ['a', line('dal', 2)]), ['a reserved']);
    assert.deepEqual(await outcomes(['a', line('dal', 2)], ['b', line('dal', 1)]), ['b reserved']);
    await room.release('a');
    assert.deepEqual(await outcomes(['a', line('dal', 2)]), [], 'nor again after the release');
    assert.deepEqual(await room.shelf(), { dal: 9 });
  });

  it('stock is released once, and only what was reserved', async () => {
    await room.stock({ dal: 10, rice: 4 });
    await room.reserve(['a', line('dal', 2), line('rice', 1)], ['b', line('dal', 3)]);
    assert.deepEqual(await room.release('nobody'), []);
    assert.deepEqual(await room.shelf(), { dal: 5, rice: 3 });
    const lines = (await room.release('a', 'nobody', 'a')).map((released) => ({ ...released }));
    assert.deepEqual(lines, [{ orderId: 'a', lines: [line('dal', 2), line('rice', 1)] }]);
    assert.deepEqual(await room.release('a'), []);
    assert.deepEqual(await room.shelf(), { dal: 7, rice: 4 });
    await Promise.all(Array.from({ length: 8 }, () => room.release('b')));
    assert.deepEqual(await room.shelf(), { dal: 10, rice: 4 });
    assert.deepEqual(await room.reservations(), { a: 'released', b: 'released' });
  });

  it('low stock is reported once as it falls to the threshold, with the order that caused it', async () => {
    await room.stock({ dal: 10 }, 4);
    await room.stock({ rice: 10 });
    const low = async (...requests: Parameters<Stockroom['reserve']>) =>
      (await room.reserve(...requests)).low;
    assert.deepEqual(await low(['a', line('dal', 5)], ['b', line('rice', 10)]), []);
    assert.deepEqual(await low(['c', line('dal', 1)], ['d', line('dal', 9)]), [
      { orderId: 'c', itemId: 'dal', stockCount: 4, threshold: 4 },
    ]);
    assert.deepEqual(await low(['e', line('dal', 1)]), [], 'the stock is low already');
    await room.release('c', 'a');
    assert.equal((await low(['f', line('dal', 7)])).length, 1, 'the stock was above the threshold before');
  });

  it('concurrent orders reserve and release items in any order without a deadlock', async () => {
    const names = ['dal', 'naan', 'raita', 'rice', 'tea'];
    const initial = Object.fromEntries(names.map((name) => [name, 60]));
    await room.stock(initial);
    const lines = names.map((name) => line(name, 1));
    const rounds = Array.from({ length: 40 }, async (_, n) => {
      const asked = n % 2 === 0 ? lines : lines.toReversed();
      await room.reserve([`o-${n}`, ...asked.slice(n % 3)], [`p-${n}`, ...asked]);
      if (n % 4 === 0) await room.release(`p-${n}`, `o-${n}`);
    });
    await Promise.all(rounds);
    await room.assertNothingLost(initial);
    assert.ok(Object.values(await room.shelf()).every((count) => count >= 0));
  });

  it('a constraint refuses a negative stock', async () => {
    await room.stock({ dal: 1 });
    await assert.rejects(room.pool.query('UPDATE inventory_items SET stock_count = -1'), /check constraint/);
  });
});
