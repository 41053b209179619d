/** Inserts many waiting orders into Postgres in one statement, as the program would have stored them. */
import type pg from 'pg';

/** `count` orders due evenly between `fromMs` and `toMs` from now. Input of the statement: count, both ends in ms. */
const INSERT = `
  INSERT INTO orders (order_id, customer_name, status, total_amount, currency, scheduled_at, due_at, created_at,
    updated_at, version, timeline, fingerprint)
  SELECT gen_random_uuid()::text, 'Ada Lovelace', 'CREATED', 12.50, 'USD', due, due, now(), now(), 1,
    jsonb_build_array(jsonb_build_object('status', 'CREATED', 'at', floor(extract(epoch FROM now()) * 1000))),
    'qL0kR9v0mJ3a5cXwT2m6b1nYp8sD4fGhJkLzXcVbNmQ'
  FROM generate_series(1, $1::int) AS n,
    LATERAL (SELECT date_trunc('milliseconds', now() + ($2::float8 + ($3::float8 - $2::float8) * n / $1::int) * interval '1 ms') AS due) d`;

export async function insertWaiting(
  pool: pg.Pool,
  count: number,
  window: { fromMs: number; toMs: number },
): Promise<void> {
  await pool.query(INSERT, [count, window.fromMs, window.toMs]);
}
