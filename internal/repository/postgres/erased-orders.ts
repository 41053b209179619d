/** Finds the orders that were erased: what arrives about them later must not bring a person's data back. */
import { type Connection, isAnyOf, prepared } from './queries.ts';
import { erasedOrders } from './schema/erasure.ts';

const among = prepared('erased-among', (db) =>
  db.select({ id: erasedOrders.orderId }).from(erasedOrders).where(isAnyOf(erasedOrders.orderId, 'ids')),
);

/** What is stored by one who asked just before an erasure is found by the eraser's second look. */
export async function erasedAmong(connection: Connection, ids: readonly string[]): Promise<Set<string>> {
  return new Set((await among(connection, { ids: [...new Set(ids)] })).map(({ id }) => id));
}
