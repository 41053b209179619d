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
