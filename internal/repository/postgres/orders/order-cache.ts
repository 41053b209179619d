/** Orders as this process last saw them, so that Postgres need only say whether they are still that. */
import type { Order, OrderId } from '../../../domain/order.ts';
import { type Queryable, query } from '../database.ts';
import { ORDER_COLUMNS, type OrderRow, toOrder } from './order-rows.ts';

/** Orders kept; those under way are few, and each is looked at by several consumers within seconds. */
const KEPT = 5_000;

// Input: order ids. Output: their rows.
const FIND = {
  name: 'find-orders',
  text: `SELECT ${ORDER_COLUMNS} FROM orders WHERE order_id = ANY($1::text[])`,
};
const FIND_VERSIONS = {
  name: 'find-versions',
  text: 'SELECT order_id, version FROM orders WHERE order_id = ANY($1::text[])',
};

// Locked in id order, so that two transactions never wait for each other in a circle.
const inTurn = ' ORDER BY order_id FOR UPDATE';
const LOCK = { name: 'lock-orders', text: FIND.text + inTurn };
const LOCK_VERSIONS = { name: 'lock-versions', text: FIND_VERSIONS.text + inTurn };

export interface OrderCache {
  /** What has been committed. */
  keep(orders: Iterable<Order>): void;
  /** The orders as they are, from memory where their version has not changed. Unknown ids are absent from the answer. */
  read(db: Queryable, ids: readonly OrderId[], options?: { lock: boolean }): Promise<Map<OrderId, Order>>;
}

/** An order's version rises with every change of it, so id and version name its content. Keeps nothing if `kept` is 0. */
export function orderCache(kept = KEPT): OrderCache {
  const known = new Map<OrderId, Order>();

  return {
    keep(orders) {
      for (const order of orders) {
        known.delete(order.id);
        known.set(order.id, order);
      }
      for (const id of known.keys()) {
        if (known.size <= kept) return;
        known.delete(id);
      }
    },
    async read(db, ids, { lock } = { lock: false }) {
      const found = new Map<OrderId, Order>();
      let unknown: readonly OrderId[] = ids;
      if (ids.some((id) => known.has(id))) {
        const { rows } = await query<OrderRow>(db, lock ? LOCK_VERSIONS : FIND_VERSIONS, [ids]);
        for (const row of rows) {
          const order = known.get(row.order_id as OrderId);
          if (order?.version === row.version) found.set(order.id, order);
        }
        unknown = rows.map((row) => row.order_id as OrderId).filter((id) => !found.has(id));
      }
      if (unknown.length > 0) {
        const { rows } = await query<OrderRow>(db, lock ? LOCK : FIND, [unknown]);
        for (const row of rows) found.set(row.order_id as OrderId, toOrder(row));
      }
      return found;
    },
  };
}
