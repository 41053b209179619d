/** Asks the database whether each order took effect once. */
import assert from 'node:assert/strict';
import pg from 'pg';

/** Each of the orders has completed, and has exactly one event of each change of its status. */
export async function assertCompletedOnce(databaseUrl: string, ids: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT order_id, event_type AS type, count(*)::int AS times FROM events WHERE event_type IN ('order.processing', 'order.completed') GROUP BY order_id, event_type`,
    );
    const times = new Map(rows.map(({ order_id, type, times }) => [`${type} of ${order_id}`, times]));
    for (const id of ids)
      for (const type of ['order.processing', 'order.completed'])
        assert.equal(times.get(`${type} of ${id}`), 1, `${type} of ${id}`);
  } finally {
    await client.end();
  }
}
