/** Finds the orders that were erased: what arrives about them later must not bring a person's data back. */
import { type Connection, isAnyOf, on, prepared, takeAdvisoryLock } from './queries.ts';
import { erasedOrders } from './schema/erasure.ts';

/** Advisory lock number (arbitrary): exclusive for a batch of an erasure, shared for what stores copies of events. */
export const ERASURE_LOCK = 7_337_005;

const among = prepared('erased-among', (db) =>
  db.select({ id: erasedOrders.orderId }).from(erasedOrders).where(isAnyOf(erasedOrders.orderId, 'ids')),
);

/** In a transaction. An erasure waits for its end, and then finds what it has stored; so neither misses the other. */
export async function erasedAmong(connection: Connection, ids: readonly string[]): Promise<Set<string>> {
  await takeAdvisoryLock(on(connection), ERASURE_LOCK, { isShared: true });
  return new Set((await among(connection, { ids: [...new Set(ids)] })).map(({ id }) => id));
}
