/** Dead letters, and the deliveries that are parked behind them. */
import type pg from 'pg';
import { deadLetterTopic } from '../../../domain/topics.ts';
import type { DeadLetter, NewDeadLetter } from '../../../service/ports.ts';
import type { DeadLetterGroups, DeadLetters } from '../../../service/stream/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { type Queryable, query } from '../database.ts';
import { asUuid } from './event-ids.ts';
import { appendEntries } from './event-log.ts';

const COLUMNS = 'id, consumer, event_id, order_id, topic, record, error, retry_count, created_at';

// Input: consumer, event ids, order ids. Output: one row with both answers.
const SCREEN = {
  name: 'screen-deliveries',
  text: `SELECT
    ARRAY(SELECT event_id FROM processed_events WHERE consumer = $1 AND event_id = ANY($2::uuid[])) AS seen,
    ARRAY(SELECT DISTINCT order_id FROM dead_letters WHERE consumer = $1 AND order_id = ANY($3::text[])) AS parked`,
};

const ROWS = bulkParameters({
  consumer: 'words',
  event_id: 'words',
  order_id: 'words',
  topic: 'words',
  record: 'json',
  error: 'words',
  retry_count: 'int',
});
const BURY = {
  name: 'bury-letters',
  text: `INSERT INTO dead_letters (consumer, event_id, order_id, topic, record, error, retry_count)
    SELECT consumer, event_id, order_id, topic, coalesce(record, 'null'), error, retry_count FROM ${ROWS.from} r
    ON CONFLICT (consumer, event_id) DO NOTHING`,
};

// Input: the id before the first, how many, a consumer or null for all of them.
const LIST = {
  name: 'list-letters',
  text: `SELECT ${COLUMNS} FROM dead_letters
    WHERE error IS NOT NULL AND id > $1 AND ($3::text IS NULL OR consumer = $3) ORDER BY id LIMIT $2`,
};
const FIND = { name: 'find-letter', text: `SELECT ${COLUMNS} FROM dead_letters WHERE id = $1` };

// The whole order is asked for, so that what is parked behind the letter follows it.
const REQUEST_REPLAY = {
  name: 'request-replay',
  text: `UPDATE dead_letters d SET replay_requested_at = now() FROM dead_letters asked
    WHERE asked.id = $1 AND (d.consumer, d.order_id) = (asked.consumer, asked.order_id)`,
};

// Input: consumer. Output: how many of them are dead; what is parked behind those is asked for with them.
const REQUEST_GROUP = {
  name: 'request-group-replay',
  text: `WITH asked AS (UPDATE dead_letters SET replay_requested_at = now() WHERE consumer = $1 RETURNING error)
    SELECT count(error)::int AS dead FROM asked`,
};

// Input: consumer. What was parked behind them has no dead letter before it any more, so it is due for replay.
const DISCARD_GROUP = {
  name: 'discard-group',
  text: 'DELETE FROM dead_letters WHERE consumer = $1 AND error IS NOT NULL',
};

const DISCARD = {
  name: 'discard-letter',
  text: `WITH gone AS (DELETE FROM dead_letters WHERE id = $1 RETURNING consumer, order_id),
    released AS (UPDATE dead_letters d SET replay_requested_at = now() FROM gone
      WHERE (d.consumer, d.order_id) = (gone.consumer, gone.order_id) AND d.id <> $1 RETURNING 1)
    SELECT 1 FROM gone`,
};

// Input: consumer. Output: one order's letters. A parked letter with no dead one before it was parked while the last of
// those was being replayed or discarded, so it is due for replay too.
const REQUESTED = {
  name: 'requested-letters',
  text: `SELECT ${COLUMNS} FROM dead_letters WHERE consumer = $1 AND order_id = (
      SELECT order_id FROM dead_letters d WHERE consumer = $1 AND (replay_requested_at IS NOT NULL OR error IS NULL AND NOT EXISTS (
        SELECT FROM dead_letters b WHERE (b.consumer, b.order_id) = (d.consumer, d.order_id) AND b.id < d.id))
      ORDER BY replay_requested_at, id LIMIT 1)
    ORDER BY id`,
};

const KEEP = {
  name: 'keep-letter',
  text: `WITH kept AS (UPDATE dead_letters SET error = $2, retry_count = retry_count + 1, replay_requested_at = NULL
      WHERE id = $1 RETURNING consumer, order_id)
    UPDATE dead_letters d SET replay_requested_at = NULL FROM kept
    WHERE (d.consumer, d.order_id) = (kept.consumer, kept.order_id) AND d.id <> $1`,
};

const REMOVE = { name: 'remove-letter', text: 'DELETE FROM dead_letters WHERE id = $1' };

interface LetterRow {
  id: string;
  consumer: string;
  event_id: string;
  order_id: string;
  topic: string;
  record: unknown;
  error: string | null;
  retry_count: number;
  created_at: Date;
}

function toLetter(row: LetterRow): DeadLetter {
  return {
    id: row.id,
    consumer: row.consumer,
    eventId: row.event_id,
    orderId: row.order_id,
    topic: row.topic,
    record: row.record,
    ...(row.error === null ? {} : { error: row.error }),
    retryCount: row.retry_count,
    createdAt: row.created_at.getTime(),
  };
}

/** Stores the letters, and announces the dead ones on their dead-letter topic with the standard headers. */
export async function addDeadLetters(db: Queryable, letters: readonly NewDeadLetter[]): Promise<void> {
  if (letters.length === 0) return;
  const rows = letters.map((letter) => ({
    consumer: letter.consumer,
    event_id: letter.eventId,
    order_id: letter.orderId,
    topic: letter.topic,
    record: letter.record,
    error: letter.error,
    retry_count: letter.retryCount,
  }));
  await query(db, BURY, ROWS.values(rows));
  const dead = letters.filter((letter) => letter.error !== undefined);
  if (dead.length === 0) return;
  await appendEntries(
    db,
    dead.map((letter) => ({
      event_type: 'dead-letter',
      order_id: letter.orderId,
      topic: deadLetterTopic(letter.topic),
      record: letter.record,
      headers: {
        'x-retry-count': String(letter.retryCount),
        'x-original-topic': letter.topic,
        'x-error': letter.error ?? '',
        'x-consumer': letter.consumer,
      },
    })),
  );
}

export async function removeLetter(db: Queryable, id: string): Promise<boolean> {
  return (await query(db, REMOVE, [id])).rowCount === 1;
}

export function postgresDeadLetters(pool: pg.Pool): DeadLetters & DeadLetterGroups {
  return {
    async screen(consumer, eventIds, orderIds) {
      const names = new Map(eventIds.map((id) => [asUuid(id), id]));
      const { rows } = await query<{ seen: string[]; parked: string[] }>(pool, SCREEN, [
        consumer,
        [...names.keys()],
        orderIds,
      ]);
      const seen = rows[0]?.seen.map((id) => names.get(id) as string);
      return { seen: new Set(seen), parked: new Set(rows[0]?.parked) };
    },
    async list({ limit, after, consumer }) {
      const { rows } = await query<LetterRow>(pool, LIST, [after ?? '0', limit, consumer ?? null]);
      return rows.map(toLetter);
    },
    async find(id) {
      const { rows } = await query<LetterRow>(pool, FIND, [id]);
      return rows[0] && toLetter(rows[0]);
    },
    requestReplay: async (id) => ((await query(pool, REQUEST_REPLAY, [id])).rowCount ?? 0) > 0,
    discard: async (id) => ((await query(pool, DISCARD, [id])).rowCount ?? 0) > 0,
    requestReplayOf: async (consumer) =>
      (await query<{ dead: number }>(pool, REQUEST_GROUP, [consumer])).rows[0]?.dead ?? 0,
    discardAllOf: async (consumer) => (await query(pool, DISCARD_GROUP, [consumer])).rowCount ?? 0,
    async requested(consumer) {
      const { rows } = await query<LetterRow>(pool, REQUESTED, [consumer]);
      return rows.map(toLetter);
    },
    async recordFailure(letter, fault) {
      await query(pool, KEEP, [letter.id, fault]);
    },
  };
}
