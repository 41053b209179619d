/** Caches orders in this process, so that Postgres only has to confirm their versions. */
import type { Order, OrderId } from '../../../domain/order.ts';
import { type Connection, isAnyOf, prepared, SERVER } from '../queries.ts';
import { orders } from '../schema/orders.ts';
import { toOrder } from './order-rows.ts';

/** Capacity in orders; few are in flight, and several consumers read each within seconds. */
const SIZE = 5_000;

const version = { orderId: orders.orderId, version: orders.version, server: SERVER };
const find = prepared('find-orders', (db) => db.select().from(orders).where(isAnyOf(orders.orderId, 'ids')));
const findVersions = prepared('find-versions', (db) =>
  db.select(version).from(orders).where(isAnyOf(orders.orderId, 'ids')),
);
// Locks rows in id order, so that two transactions never deadlock.
const lock = prepared('lock-orders', (db) =>
  db.select().from(orders).where(isAnyOf(orders.orderId, 'ids')).orderBy(orders.orderId).for('update'),
);
const lockVersions = prepared('lock-versions', (db) =>
  db.select(version).from(orders).where(isAnyOf(orders.orderId, 'ids')).orderBy(orders.orderId).for('update'),
);

export interface OrderCache {
  /** Adds orders whose transaction has been committed. */
  add(orders: Iterable<Order>): void;
  /** The current orders, from the cache if their version is unchanged. Unknown ids are absent from the result. */
  read(
    connection: Connection,
    ids: readonly OrderId[],
    options?: { lock: boolean },
  ): Promise<Map<OrderId, Order>>;
}

/** At one server every change of an order raises its version, so both identify its content. `size` 0 disables the cache. */
export function orderCache(size = SIZE): OrderCache {
  const cached = new Map<OrderId, Order>();
  let server: string | undefined;

  return {
    add(orders) {
      for (const order of orders) {
        cached.delete(order.id);
        cached.set(order.id, order);
      }
      for (const id of cached.keys()) {
        if (cached.size <= size) return;
        cached.delete(id);
      }
    },
    async read(connection, ids, options = { lock: false }) {
      const found = new Map<OrderId, Order>();
      let missing: readonly OrderId[] = ids;
      if (ids.some((id) => cached.has(id))) {
        const rows = await (options.lock ? lockVersions : findVersions)(connection, { ids });
        const now = rows[0]?.server ?? server;
        // What was cached before the first look may be of another server, too.
        if (now !== server) cached.clear();
        server = now;
        for (const row of rows) {
          const order = cached.get(row.orderId);
          if (order?.version === row.version) found.set(order.id, order);
        }
        missing = rows.map(({ orderId }) => orderId).filter((id) => !found.has(id));
      }
      if (missing.length > 0) {
        const rows = await (options.lock ? lock : find)(connection, { ids: missing });
        for (const row of rows) found.set(row.orderId, toOrder(row));
      }
      return found;
    },
  };
}
