/** The event log: appends events, and reads them for each consumer in commit order without skipping any. */
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { Event } from '../../../domain/events.ts';
import type { Log } from '../../../service/ports.ts';
import type { EventLog } from '../../../service/stream/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { type Queryable, query } from '../database.ts';
import { asUuid } from './event-ids.ts';
import { CHANNEL, leaderSession } from './leader-session.ts';
import { type Entry, type Fetch, logTail, PACE_MS, type Stretch } from './log-tail.ts';

const ENTRIES = bulkParameters({
  event_id: 'uuid',
  event_type: 'text',
  order_id: 'text',
  topic: 'text',
  record: 'json',
  headers: 'json',
});
const APPEND = {
  name: 'append-events',
  text: `INSERT INTO events (event_id, event_type, order_id, topic, record, headers)
    SELECT event_id, event_type, coalesce(order_id, ''), topic, coalesce(record, 'null'), headers FROM ${ENTRIES.from} e`,
};

/*
 * Input: two positions, limit, topics, event types. Output: a row with where the log ends and whether it goes on beyond
 * the horizon; then, of the rows after the one position up to the other, the first `limit` that are asked for. Rows of
 * transactions at or above the oldest one still open are held back: an open transaction may yet commit rows that sort
 * before them, and a cursor that had passed would skip those. (pg_current_snapshot and xid8: PostgreSQL manual, 9.27
 * "Transaction ID and Snapshot Information Functions".)
 */
const read = (wanted: string) => `
  (
    SELECT held, transaction_id, position, NULL AS event_type, NULL AS order_id, NULL AS topic, NULL AS record,
      NULL::json AS headers
    FROM (
      SELECT EXISTS (SELECT FROM events WHERE transaction_id >= pg_snapshot_xmin(pg_current_snapshot())) AS held
    ) h
    LEFT JOIN LATERAL (
      SELECT transaction_id, position FROM events WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())
      ORDER BY transaction_id DESC, position DESC LIMIT 1
    ) last ON true
  ) UNION ALL (
    SELECT NULL, transaction_id, position, event_type, order_id, topic, record::text, headers FROM events
    WHERE (transaction_id, position) > ($1::xid8, $2::bigint) AND (transaction_id, position) <= ($3::xid8, $4::bigint)
      AND transaction_id < pg_snapshot_xmin(pg_current_snapshot()) AND ${wanted}
    ORDER BY transaction_id, position
    LIMIT $5
  ) ORDER BY held, transaction_id, position`;
const READ = {
  name: 'read-events',
  text: read('CASE WHEN topic IS NULL THEN event_type = ANY($7::text[]) ELSE topic = ANY($6::text[]) END'),
};
// Few rows have a topic of their own, and those have an index.
const READ_TOPICS = { name: 'read-topics', text: read('topic IS NOT NULL AND topic = ANY($6::text[])') };

const CURSOR = {
  name: 'find-cursor',
  text: 'SELECT transaction_id, position FROM consumer_cursors WHERE consumer = $1',
};
const OPEN_CURSOR = {
  name: 'open-cursor',
  text: 'INSERT INTO consumer_cursors (consumer) VALUES ($1) ON CONFLICT DO NOTHING',
};

/** Moves a cursor, provided that nobody else has moved it: input consumer, from, to. */
export const MOVE_CURSOR = {
  name: 'move-cursor',
  text: `UPDATE consumer_cursors SET transaction_id = $4, position = $5, moved_at = now()
    WHERE consumer = $1 AND transaction_id = $2 AND position = $3`,
};

interface CursorRow {
  transaction_id: string;
  position: string;
}

interface EndRow {
  held: boolean;
  /** Null where the log is empty. */
  transaction_id: string | null;
  position: string;
}

interface LogRow {
  transaction_id: string;
  position: string;
  event_type: string;
  order_id: string;
  topic: string | null;
  /** JSON as text. */
  record: string;
  headers: Record<string, string> | null;
}

export interface LogEntry {
  readonly event_id?: string;
  readonly event_type: string;
  readonly order_id: string;
  readonly topic?: string;
  readonly record: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export function toLogEntry(event: Event): LogEntry {
  return {
    event_id: asUuid(event.eventId),
    event_type: event.eventType,
    order_id: event.orderId,
    record: event,
  };
}

export async function appendEntries(db: Queryable, entries: readonly LogEntry[]): Promise<void> {
  await query(db, APPEND, ENTRIES.values(entries.map(withReadableKey)));
}

/** A key from outside may hold what no text of a database can, or a line break. */
function withReadableKey(entry: LogEntry): LogEntry {
  const order_id = entry.order_id.replace(/[\p{Cc}\p{Cs}]/gu, '\ufffd');
  return order_id === entry.order_id ? entry : { ...entry, order_id };
}

export async function appendEvents(db: Queryable, events: readonly Event[]): Promise<void> {
  await appendEntries(db, events.map(toLogEntry));
}

export interface PostgresEventLog extends EventLog {
  /** Wakes the readers, here and in other processes. */
  signal(): void;
}

export function postgresEventLog(pool: pg.Pool, url: string, log: Log): PostgresEventLog {
  const listeners = new Set<() => void>();
  const wakeHere = () => {
    for (const listener of listeners) listener();
  };
  const session = leaderSession(url, wakeHere, log);
  const tail = logTail((...asked) => readStretch(pool, ...asked));
  let notifying = false;
  let again = false;

  /** One notification is on its way at a time; those asked for meanwhile become one more. */
  function notifyOthers(): void {
    again = notifying;
    if (notifying) return;
    notifying = true;
    pool
      .query(`NOTIFY ${CHANNEL}`)
      // The readers look by themselves once a second, so a lost notification costs that much.
      .catch((error: Error) => log.debug({ error: error.message }, 'notification was not sent'))
      .finally(async () => {
        // Readers do not look more often than that.
        await pause(PACE_MS / 2);
        notifying = false;
        if (again) notifyOthers();
      });
  }

  return {
    signal() {
      wakeHere();
      notifyOthers();
    },
    async append(events) {
      await appendEvents(pool, events);
      this.signal();
    },
    async cursor(consumer) {
      for (;;) {
        const [row] = (await query<CursorRow>(pool, CURSOR, [consumer])).rows;
        if (row) return { transactionId: row.transaction_id, position: row.position };
        await query(pool, OPEN_CURSOR, [consumer]);
      }
    },
    read: tail.read,
    lead: (consumer) => session.lead(consumer),
    resign: (consumer) => session.resign(consumer),
    onAppend(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => session.close(),
  };
}

async function readStretch(
  pool: pg.Pool,
  ...[from, until, filter, limit]: Parameters<Fetch>
): Promise<Stretch> {
  const range = [from.transactionId, from.position, until.transactionId, until.position, limit];
  const { topics, types } = filter;
  const { rows } = await (types.size > 0
    ? query(pool, READ, [...range, [...topics], [...types]])
    : query(pool, READ_TOPICS, [...range, [...topics]]));
  const [end, ...found] = rows as [EndRow, ...LogRow[]];
  const entries = found.map(toEntry);
  const full = entries.length === limit;
  const last =
    end.transaction_id === null ? from : { transactionId: end.transaction_id, position: end.position };
  return { entries, to: full ? (entries.at(-1) as Entry).at : last, full, held: end.held };
}

function toEntry(row: LogRow): Entry {
  const { transaction_id: transactionId } = row;
  return {
    at: { transactionId, position: row.position },
    eventType: row.event_type,
    topic: row.topic,
    delivery: {
      topic: row.topic ?? row.event_type,
      key: row.order_id,
      position: `${transactionId}-${row.position}`,
      record: JSON.parse(row.record),
      ...(row.headers ? { headers: row.headers } : {}),
    },
    size: row.record.length,
  };
}
