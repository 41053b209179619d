/** Kitchen tickets on a real Postgres: read back unchanged, changed in place, listed in pages. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { OrderId } from '../../../internal/domain/order.ts';
import type { Ticket } from '../../../internal/service/restaurants/ports.ts';
import { type Kitchen, kitchen } from '../../support/kitchen.ts';
import { NOON } from '../../support/manual-clock.ts';

describe('tickets', () => {
  let town: Kitchen;
  before(async () => {
    town = await kitchen();
  });
  after(() => town.close());
  beforeEach(() => town.clear());
  const ticket = (id: string, changes: Partial<Ticket> = {}): Ticket => ({
    ...{ orderId: id as OrderId, restaurantId: 'r1', state: 'OPEN', openedAt: NOON },
    ...changes,
  });
  const save = (...tickets: Ticket[]) => town.transactions.run((tx) => town.tickets.save(tx, tickets));
  const open = (limit = 50, after?: { openedAt: number; orderId: OrderId }) =>
    town.tickets.listOpen('r1', { limit, ...(after ? { after } : {}) });

  it('tickets in every state are read back as they were saved', async () => {
    const answered = { answeredAt: NOON + 1, closedAt: NOON + 3 };
    const all = [
      ticket('open'),
      ticket('accepted', { state: 'ACCEPTED', answeredAt: NOON + 1, estimatedReadyAt: NOON + 2 }),
      ticket('rejected', { state: 'REJECTED', reason: 'no "dough" \\ left', ...answered }),
      ticket('closed', { state: 'CLOSED', closedAt: NOON + 3 }),
    ];
    await save(...all);
    for (const one of all) assert.deepEqual(await town.ticket(one.orderId), one);
    assert.equal(await town.ticket('nowhere'), undefined);
  });

  it('the open and accepted tickets of a restaurant are listed oldest first, each once, at any page size', async () => {
    const ids = Array.from({ length: 23 }, (_, n) => `t${n}`);
    // Some were opened in the same millisecond.
    const all = ids.map((id, n) => ticket(id, { openedAt: NOON + Math.floor(n / 4) }));
    await save(
      ...all.map((one, n) => (n % 3 === 0 ? { ...one, state: 'ACCEPTED' as const } : one)),
      ticket('rejected', { state: 'REJECTED' }),
      ticket('closed', { state: 'CLOSED' }),
      ticket('next door', { restaurantId: 'auto' }),
    );
    for (const limit of [1, 4, 5, 23, 50]) {
      const seen: Ticket[] = [];
      for (;;) {
        const page = await open(limit, seen.at(-1));
        seen.push(...page);
        if (page.length < limit) break;
      }
      assert.deepEqual(seen.map(({ orderId }) => orderId).sort(), [...ids].sort(), `pages of ${limit}`);
      const times = seen.map(({ openedAt }) => openedAt);
      assert.deepEqual(
        times,
        [...times].sort((a, b) => a - b),
      );
    }
  });
});
