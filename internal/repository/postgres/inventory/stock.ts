/** Stock, taken and given back under the locks of its rows, in item order. */
import { addUp, allot } from '../../../domain/inventory.ts';
import type { OrderId } from '../../../domain/order.ts';
import type { Inventory, Lines, ReservationOutcome } from '../../../service/inventory/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { query } from '../database.ts';
import { clientOf } from '../transactions.ts';

// Input: order ids. Output: those that have asked before.
const RESERVED = {
  name: 'find-reservations',
  text: 'SELECT order_id FROM reservations WHERE order_id = ANY($1::text[])',
};

// Input: item ids. Output: their stock, locked in item order so that two transactions never wait for each other in a circle.
const LOCK_STOCK = {
  name: 'lock-stock',
  text: `SELECT item_id, stock_count, threshold_qty FROM inventory_items WHERE item_id = ANY($1::text[])
    ORDER BY item_id FOR UPDATE`,
};

// Input: item ids and their new stock counts.
const SET_STOCK = {
  name: 'set-stock',
  text: `UPDATE inventory_items i SET stock_count = n.count, updated_at = now()
    FROM unnest($1::text[], $2::int[]) AS n(item_id, count) WHERE i.item_id = n.item_id`,
};

// Input: order ids, their lines and what became of them.
const ROWS = bulkParameters({ order_id: 'text', lines: 'jsonb', state: 'text' });
const RESERVE = {
  name: 'insert-reservations',
  text: `INSERT INTO reservations (${ROWS.names}) SELECT ${ROWS.names} FROM ${ROWS.from} r`,
};

// Input: order ids. Output: what those of them had reserved whose reservation this ends.
const RELEASE = {
  name: 'release-reservations',
  text: `UPDATE reservations SET state = 'released', released_at = now()
    WHERE order_id = ANY($1::text[]) AND state = 'reserved' RETURNING order_id, lines`,
};

interface StockRow {
  item_id: string;
  stock_count: number;
  threshold_qty: number;
}

export function postgresInventory(): Inventory {
  return {
    async reserve(tx, requests) {
      const client = clientOf(tx);
      const ids = requests.map(({ orderId }) => orderId);
      const { rows: known } = await query<{ order_id: OrderId }>(client, RESERVED, [ids]);
      const reserved = new Set(known.map((row) => row.order_id));
      const fresh = requests.filter(({ orderId }) => {
        const isFirst = !reserved.has(orderId);
        reserved.add(orderId);
        return isFirst;
      });
      if (fresh.length === 0) return { outcomes: [], low: [] };

      const items = new Set(fresh.flatMap(({ lines }) => lines.map(({ itemId }) => itemId)));
      const { rows: stock } = await query<StockRow>(client, LOCK_STOCK, [[...items]]);
      const before = new Map(stock.map((row) => [row.item_id, row.stock_count]));
      const { shortages, left } = allot(
        before,
        fresh.map(({ lines }) => lines),
      );
      if (left.size > 0) await query(client, SET_STOCK, [[...left.keys()], [...left.values()]]);

      const outcomes = fresh.map(({ orderId, lines }, n): ReservationOutcome => {
        const missing = shortages[n] ?? [];
        return missing.length > 0
          ? { orderId, outcome: 'rejected', missing }
          : { orderId, outcome: 'reserved', lines: addUp(lines) };
      });
      const rows = outcomes.map((asked) => ({
        order_id: asked.orderId,
        lines: asked.outcome === 'reserved' ? asked.lines : [],
        state: asked.outcome,
      }));
      await query(client, RESERVE, ROWS.values(rows));
      const taken = outcomes.filter((asked) => asked.outcome === 'reserved');
      return { outcomes, low: ranLow(stock, left, taken) };
    },

    async release(tx, orderIds) {
      const client = clientOf(tx);
      const { rows } = await query<{ order_id: OrderId; lines: Lines }>(client, RELEASE, [orderIds]);
      const back = addUp(rows.flatMap(({ lines }) => lines));
      if (back.length > 0) {
        const { rows: stock } = await query<StockRow>(client, LOCK_STOCK, [back.map(({ itemId }) => itemId)]);
        const now = new Map(stock.map((row) => [row.item_id, row.stock_count]));
        const counts = back.map(({ itemId, quantity }) => (now.get(itemId) ?? 0) + quantity);
        await query(client, SET_STOCK, [back.map(({ itemId }) => itemId), counts]);
      }
      return rows.map((row) => ({ orderId: row.order_id, lines: row.lines }));
    },
  };
}

/** The items that fell to their threshold or below just now, with the last order that took of them. */
function ranLow(
  rows: readonly StockRow[],
  left: ReadonlyMap<string, number>,
  taken: readonly { orderId: OrderId; lines: Lines }[],
) {
  return rows.flatMap(({ item_id: itemId, stock_count: before, threshold_qty: threshold }) => {
    const stockCount = left.get(itemId) ?? before;
    const last = taken.findLast(({ lines }) => lines.some((line) => line.itemId === itemId));
    const isLow = threshold > 0 && before > threshold && stockCount <= threshold;
    return isLow && last ? [{ orderId: last.orderId, itemId, stockCount, threshold }] : [];
  });
}
