/** Reserves and releases stock under row locks. */
import { and, eq, sql } from 'drizzle-orm';
import { addUp, allot, ranLow } from '../../../domain/inventory.ts';
import type { Inventory, ReservationOutcome } from '../../../service/inventory/ports.ts';
import { assignments, bulkInsert, bulkParameters } from '../bulk-parameters.ts';
import { clientOf } from '../database.ts';
import { isAnyOf, namesOf, prepared, statement } from '../queries.ts';
import { inventoryItems, reservations } from '../schema/inventory.ts';

const { orderId, lines, state } = reservations;
const find = prepared('find-reservations', (db) =>
  db.select({ orderId }).from(reservations).where(isAnyOf(orderId, 'ids')),
);
const insert = bulkInsert('insert-reservations', reservations, { orderId, lines, state });
const end = prepared('release-reservations', (db) =>
  db
    .update(reservations)
    .set({ state: 'released', releasedAt: sql`now()` })
    .where(and(isAnyOf(orderId, 'ids'), eq(state, 'reserved')))
    .returning({ orderId, lines }),
);

const { itemId, stockCount, threshold, updatedAt } = inventoryItems;
// Locks rows in item order, so that two transactions never deadlock.
const lockStock = prepared('lock-stock', (db) =>
  db
    .select({ itemId, stockCount, threshold })
    .from(inventoryItems)
    .where(isAnyOf(itemId, 'ids'))
    .orderBy(itemId)
    .for('update'),
);

const counts = bulkParameters({ itemId, stockCount });
// By hand: changes the counts of a batch in one UPDATE.
const setStock = statement(
  'set-stock',
  sql`update ${inventoryItems} i set ${assignments([stockCount], 'r')}, ${namesOf([updatedAt])} = now()
    from ${counts.relation} r where ${namesOf([itemId], 'i')} = ${namesOf([itemId], 'r')}`,
);

export function postgresInventory(): Inventory {
  return {
    async reserve(tx, requests) {
      const client = clientOf(tx);
      const ids = requests.map(({ orderId }) => orderId);
      const reserved = new Set((await find(client, { ids })).map(({ orderId }) => orderId));
      const fresh = requests.filter(({ orderId }) => {
        const isFirst = !reserved.has(orderId);
        reserved.add(orderId);
        return isFirst;
      });
      if (fresh.length === 0) return { outcomes: [], low: [] };

      const items = new Set(fresh.flatMap(({ lines }) => lines.map(({ itemId }) => itemId)));
      const stock = await lockStock(client, { ids: [...items] });
      const before = new Map(stock.map((row) => [row.itemId, row.stockCount]));
      const { shortages, left } = allot(
        before,
        fresh.map(({ lines }) => lines),
      );
      const rows = [...left].map(([itemId, stockCount]) => ({ itemId, stockCount }));
      if (rows.length > 0) await setStock(client, counts.values(rows));

      const outcomes = fresh.map(({ orderId, lines }, n): ReservationOutcome => {
        const missing = shortages[n] ?? [];
        return missing.length > 0
          ? { orderId, outcome: 'rejected', missing }
          : { orderId, outcome: 'reserved', lines: addUp(lines) };
      });
      await insert(
        client,
        outcomes.map((asked) => ({
          orderId: asked.orderId,
          lines: asked.outcome === 'reserved' ? asked.lines : [],
          state: asked.outcome,
        })),
      );
      const taken = outcomes.filter((asked) => asked.outcome === 'reserved');
      return { outcomes, low: ranLow(stock, left, taken) };
    },

    async release(tx, orderIds) {
      const client = clientOf(tx);
      const released = await end(client, { ids: orderIds });
      const back = addUp(released.flatMap(({ lines }) => lines));
      if (back.length > 0) {
        const stock = await lockStock(client, { ids: back.map(({ itemId }) => itemId) });
        const now = new Map(stock.map((row) => [row.itemId, row.stockCount]));
        const rows = back.map(({ itemId, quantity }) => ({
          itemId,
          stockCount: (now.get(itemId) ?? 0) + quantity,
        }));
        await setStock(client, counts.values(rows));
      }
      return released;
    },
  };
}
