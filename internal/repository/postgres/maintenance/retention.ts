/** Deletes rows that the retention has passed. */
import type pg from 'pg';
import type { Retention } from '../../../service/maintenance/ports.ts';
import { query } from '../database.ts';

const PRUNE_BATCH = 10_000;

// Input: a time, a limit. Deletes events that every cursor has passed and that are older.
const PRUNE_EVENTS = {
  name: 'prune-events',
  text: `
    DELETE FROM events WHERE (transaction_id, position) IN (
      SELECT transaction_id, position FROM events
      WHERE stored_at < $1 AND (transaction_id, position) <= (
        SELECT transaction_id, position FROM consumer_cursors ORDER BY transaction_id, position LIMIT 1)
      ORDER BY transaction_id, position LIMIT $2)`,
};
const PRUNE_PROCESSED = {
  name: 'prune-processed',
  text: 'DELETE FROM processed_events WHERE processed_at < $1',
};
const PRUNE_RESPONSES = {
  name: 'prune-responses',
  text: 'DELETE FROM idempotency_keys WHERE created_at < $1',
};

// Input: a time. Output: cursors not moved since then whose next event is older than that.
const IDLE_CURSORS = {
  name: 'idle-cursors',
  text: `SELECT consumer, moved_at FROM consumer_cursors c WHERE moved_at < $1 AND (
      SELECT stored_at FROM events e WHERE (e.transaction_id, e.position) > (c.transaction_id, c.position)
      ORDER BY e.transaction_id, e.position LIMIT 1) < $1`,
};
const REMOVE_CURSORS = {
  name: 'remove-cursors',
  text: 'DELETE FROM consumer_cursors WHERE consumer = ANY($1::text[])',
};

export function postgresRetention(pool: pg.Pool): Retention {
  return {
    async pruneEvents(before) {
      for (let pruned = 0; ; ) {
        const { rowCount } = await query(pool, PRUNE_EVENTS, [new Date(before), PRUNE_BATCH]);
        pruned += rowCount ?? 0;
        if ((rowCount ?? 0) < PRUNE_BATCH) return pruned;
      }
    },
    async pruneKeys(before) {
      await query(pool, PRUNE_PROCESSED, [new Date(before)]);
      await query(pool, PRUNE_RESPONSES, [new Date(before)]);
    },
    async idleCursors(before) {
      const { rows } = await query<{ consumer: string; moved_at: Date }>(pool, IDLE_CURSORS, [
        new Date(before),
      ]);
      return rows.map(({ consumer, moved_at }) => ({ consumer, movedAt: moved_at.getTime() }));
    },
    async removeCursors(consumers) {
      await query(pool, REMOVE_CURSORS, [consumers]);
    },
  };
}
