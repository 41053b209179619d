/** Checks, after a test with faults, that each stored order completed once and not before its due time. */
import assert from 'node:assert/strict';
import pg from 'pg';

/** Asserts that each order is COMPLETED, has one event of each step, and was not dispatched early. */
export async function assertEachCompletedOnce(databaseUrl: string, ids: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const orders = await client.query(
      `SELECT order_id, status, version, jsonb_path_query_array(timeline, '$[*].status') AS steps FROM orders WHERE order_id = ANY($1)`,
      [ids],
    );
    assert.equal(orders.rowCount, ids.length, 'every acknowledged order is stored');
    const unfinished = orders.rows.filter((row) => row.steps.join() !== 'CREATED,PROCESSING,COMPLETED');
    assert.deepEqual(unfinished, [], 'every order went through its three states once');
    const events = await client.query(
      `SELECT order_id, event_type, count(*)::int FROM events WHERE order_id = ANY($1) AND event_type <> 'order.ready'
       GROUP BY 1, 2 HAVING count(*) <> 1`,
      [ids],
    );
    assert.deepEqual(events.rows, [], 'every step has exactly one event');
    const early = await client.query(
      `SELECT o.order_id, o.due_at, t.entry FROM orders o, jsonb_array_elements(o.timeline) AS t(entry)
       WHERE o.order_id = ANY($1) AND t.entry->>'status' = 'PROCESSING' AND (t.entry->>'at')::numeric < floor(extract(epoch FROM o.due_at) * 1000)`,
      [ids],
    );
    assert.deepEqual(early.rows, [], 'no order was dispatched before its due time');
  } finally {
    await client.end();
  }
}

export async function countUnfinished(databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query(`SELECT count(*)::int AS n FROM orders WHERE status <> 'COMPLETED'`);
    return rows[0].n;
  } finally {
    await client.end();
  }
}
