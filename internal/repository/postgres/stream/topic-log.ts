/** One topic of the event log, read and written by hand as a console does with a broker's topic: without a consumer. */
import type pg from 'pg';
import { type Event, isEventType } from '../../../domain/events.ts';
import { toRecord } from '../../../domain/records.ts';
import { typesOn } from '../../../domain/topics.ts';
import type { LogPosition } from '../../../service/ports.ts';
import { query } from '../database.ts';
import { appendEntries } from './event-log.ts';

export interface TopicLog {
  /** Where a reader begins who wants only what is still to come. */
  end(): Promise<LogPosition>;
  /** The next records after a place, at most `limit`, and the place to go on from. */
  read(topic: string, after: LogPosition, limit: number): Promise<{ records: unknown[]; to: LogPosition }>;
  produce(topic: string, records: readonly { key: string; value: unknown }[]): Promise<void>;
}

// Everything of transactions below the oldest open one has been committed; see the reader of event-log.ts.
const END = { name: 'log-end', text: 'SELECT pg_snapshot_xmin(pg_current_snapshot()) AS transaction_id' };

const READ = {
  name: 'read-topic',
  text: `SELECT transaction_id, position, event_type, topic, record FROM events
    WHERE (transaction_id, position) > ($1::xid8, $2::bigint) AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
      AND CASE WHEN topic IS NULL THEN event_type = ANY($3::text[]) ELSE topic = $4 END
    ORDER BY transaction_id, position LIMIT $5`,
};

interface TopicRow {
  transaction_id: string;
  position: string;
  event_type: string;
  topic: string | null;
  record: unknown;
}

/** `onAppend` is called after a commit that appended records, to wake the readers of the log. */
export function postgresTopicLog(pool: pg.Pool, onAppend: () => void): TopicLog {
  return {
    async end() {
      const { rows } = await query<{ transaction_id: string }>(pool, END);
      return { transactionId: rows[0]?.transaction_id ?? '0', position: '0' };
    },
    async read(topic, after, limit) {
      const { rows } = await query<TopicRow>(pool, READ, [
        after.transactionId,
        after.position,
        typesOn(topic),
        topic,
        limit,
      ]);
      const last = rows.at(-1);
      return {
        records: rows.map((row) =>
          row.topic === null && isEventType(row.event_type)
            ? toRecord(row.record as Event, topic)
            : row.record,
        ),
        to: last ? { transactionId: last.transaction_id, position: last.position } : after,
      };
    },
    async produce(topic, records) {
      await appendEntries(
        pool,
        records.map(({ key, value }) => ({ event_type: 'record', order_id: key, topic, record: value })),
      );
      onAppend();
    },
  };
}
