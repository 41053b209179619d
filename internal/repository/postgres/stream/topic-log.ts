/** Reads and writes one topic of the event log without a consumer, like a broker's console tools. */
import { sql } from 'drizzle-orm';
import type pg from 'pg';
import { type Event, isEventType } from '../../../domain/events.ts';
import { toRecord } from '../../../domain/records.ts';
import { topicsOf, typesOn } from '../../../domain/topics.ts';
import type { LogPosition } from '../../../service/ports.ts';
import { isAnyOf, prepared } from '../queries.ts';
import { events } from '../schema/stream.ts';
import { appendEntries } from './event-log.ts';
import { horizonOf } from './horizon.ts';

export interface TopicLog {
  /** The position from which a reader gets only new records. */
  end(): Promise<LogPosition>;
  /** Up to `limit` records after a position, and the position to continue from. */
  read(topic: string, after: LogPosition, limit: number): Promise<{ records: unknown[]; to: LogPosition }>;
  produce(topic: string, records: readonly { key: string; value: unknown }[]): Promise<void>;
}

const { transactionId, position, eventType, topic, record } = events;
const read = prepared('read-topic', (db) =>
  db
    .select({ transactionId, position, eventType, topic, record })
    .from(events)
    .where(
      sql`(${transactionId}, ${position}) > (${sql.placeholder('id')}::xid8, ${sql.placeholder('position')}::bigint)
        and ${transactionId} < ${sql.placeholder('horizon')}::xid8
        and case when ${topic} is null then ${isAnyOf(eventType, 'types')} else ${topic} = ${sql.placeholder('topic')} end`,
    )
    .orderBy(transactionId, position)
    .limit(sql.placeholder('limit')),
);

/** `onAppend` is called after a commit that appended records, to wake the readers of the log. */
export function postgresTopicLog(pool: pg.Pool, onAppend: () => void): TopicLog {
  return {
    end: () => horizonOf(pool),
    async read(topic, after, limit) {
      const rows = await read(pool, {
        horizon: (await horizonOf(pool)).transactionId,
        id: after.transactionId,
        position: after.position,
        types: typesOn(topic),
        topic,
        limit,
      });
      const last = rows.at(-1);
      return {
        records: rows.flatMap((row) => {
          if (row.topic !== null || !isEventType(row.eventType)) return [row.record];
          const event = row.record as Event;
          return topicsOf(event).includes(topic) ? [toRecord(event, topic)] : [];
        }),
        to: last ? { transactionId: last.transactionId, position: last.position } : after,
      };
    },
    async produce(topic, records) {
      await appendEntries(
        pool,
        records.map(({ key, value }) => ({ eventType: 'record', orderId: key, topic, record: value })),
      );
      onAppend();
    },
  };
}
