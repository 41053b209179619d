/** How far each consumer of the event log is behind. */
import type pg from 'pg';
import { query } from '../database.ts';

// Output: each consumer, with the age in seconds of the oldest event it has not passed; 0 when there is none.
const DELAYS = {
  name: 'consumer-delays',
  text: `SELECT c.consumer, coalesce(extract(epoch FROM clock_timestamp() - (
      SELECT stored_at FROM events e WHERE (e.transaction_id, e.position) > (c.transaction_id, c.position)
      ORDER BY e.transaction_id, e.position LIMIT 1)), 0)::float8 AS seconds
    FROM consumer_cursors c`,
};

/** Seconds by consumer. */
export async function consumerDelays(pool: pg.Pool): Promise<ReadonlyMap<string, number>> {
  const { rows } = await query<{ consumer: string; seconds: number }>(pool, DELAYS);
  return new Map(rows.map(({ consumer, seconds }) => [consumer, seconds]));
}
