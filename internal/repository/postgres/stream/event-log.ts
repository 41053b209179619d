/** The event log: appends events, and reads them for each consumer in commit order without skipping any. */
import { setTimeout as pause } from 'node:timers/promises';
import { type SQL, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Event } from '../../../domain/events.ts';
import type { OrderId } from '../../../domain/order.ts';
import type { Log } from '../../../service/ports.ts';
import type { EventLog } from '../../../service/stream/ports.ts';
import { bulkInsert } from '../bulk-parameters.ts';
import { dropSilent } from '../database.ts';
import { type Connection, isAnyOf, namesOf, SERVER, statement } from '../queries.ts';
import { events } from '../schema/stream.ts';
import { cursorOf } from './cursors.ts';
import { asUuid } from './event-ids.ts';
import { heldReport, horizonOf } from './horizon.ts';
import { CHANNEL, leaderSession } from './leader-session.ts';
import { assertOneServer, type Entry, type Fetch, logTail, PACE_MS, type Stretch } from './log-tail.ts';

const { position, transactionId, eventId, eventType, orderId, topic, record, headers } = events;
const PLACE = [transactionId, position];

const append = bulkInsert('append-events', events, { eventId, eventType, orderId, topic, record, headers });

const horizon = sql`${sql.placeholder('horizon')}::xid8`;
const placeOf = (id: string, at: string) =>
  sql`(${sql.placeholder(id)}::xid8, ${sql.placeholder(at)}::bigint)`;

/*
 * By hand: reads the end of the log and a page of it in one round trip. Input: horizon, two positions, limit, topics, types.
 * Output: a row with the server, the end of the log and whether events exist beyond the horizon; then the first `limit`
 * matching rows between the two positions. Rows at or above the horizon are held back, because an open transaction may still commit rows
 * that sort before them, which a cursor past that point would skip.
 */
const read = (name: string, wanted: SQL) =>
  statement<EndRow | LogRow>(
    name,
    sql`
      (
        select held, ${SERVER} as server, ${namesOf(PLACE)}, null as event_type, null as order_id, null as topic, null as record,
          null::json as headers
        from (select exists (select from ${events} where ${transactionId} >= ${horizon}) as held) h
        left join lateral (
          select ${namesOf(PLACE)} from ${events} where ${transactionId} < ${horizon}
          order by ${transactionId} desc, ${position} desc limit 1
        ) last on true
      ) union all (
        select null, null, ${namesOf([...PLACE, eventType, orderId, topic])}, ${record}::text, ${namesOf([headers])} from ${events}
        where (${transactionId}, ${position}) > ${placeOf('fromId', 'fromPosition')}
          and (${transactionId}, ${position}) <= ${placeOf('untilId', 'untilPosition')}
          and ${transactionId} < ${horizon} and ${wanted}
        order by ${transactionId}, ${position}
        limit ${sql.placeholder('limit')}
      ) order by held, transaction_id, position`,
  );
const isOnTopic = isAnyOf(topic, 'topics');
const readAll = read(
  'read-events',
  sql`case when ${topic} is null then ${isAnyOf(eventType, 'types')} else ${isOnTopic} end`,
);
// Few rows have a topic of their own; a partial index finds them.
const readTopics = read('read-topics', sql`${topic} is not null and ${isOnTopic}`);

interface EndRow {
  held: boolean;
  server: string;
  /** Null if the log is empty. */
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

export type LogEntry = Pick<
  typeof events.$inferInsert,
  'eventId' | 'eventType' | 'orderId' | 'topic' | 'record' | 'headers'
>;

export function toLogEntry(event: Event) {
  return {
    eventId: asUuid(event.eventId),
    eventType: event.eventType,
    orderId: event.orderId as OrderId,
    record: event,
  };
}

export async function appendEntries(connection: Connection, entries: readonly LogEntry[]): Promise<void> {
  await append(connection, entries);
}

export async function appendEvents(connection: Connection, events: readonly Event[]): Promise<void> {
  await append(connection, events.map(toLogEntry));
}

export interface PostgresEventLog extends EventLog {
  /** Wakes the readers in this and in other processes. */
  signal(): void;
  /** Why the readers of this process get no events. */
  fault(): string | undefined;
}

export function postgresEventLog(pool: pg.Pool, url: string, log: Log): PostgresEventLog {
  const listeners = new Set<() => void>();
  const wakeHere = () => {
    for (const listener of listeners) listener();
  };
  const session = leaderSession(url, log, {
    onNotify: wakeHere,
    onSilenceOver: (since) => dropSilent(pool, since),
  });
  const held = heldReport(pool, log);
  const tail = logTail(async (...asked) => held.seen(await readStretch(pool, ...asked)));
  let notifying = false;
  let again = false;

  /** Sends one notification at a time; requests made while it is sent become one more. */
  function notifyOthers(): void {
    again = notifying;
    if (notifying) return;
    notifying = true;
    pool
      .query(`NOTIFY ${CHANNEL}`)
      // Readers poll once a second, so a lost notification delays them by at most a second.
      .catch((error: Error) => log.debug({ error: error.message }, 'notification was not sent'))
      .finally(async () => {
        // Readers query at most once per PACE_MS.
        await pause(PACE_MS / 2);
        notifying = false;
        if (again) notifyOthers();
      });
  }

  return {
    fault: held.fault,
    signal() {
      wakeHere();
      notifyOthers();
    },
    async append(events) {
      await appendEvents(pool, events);
      this.signal();
    },
    cursor: (consumer) => cursorOf(pool, consumer),
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
  const { topics, types } = filter;
  const horizon = await horizonOf(pool);
  const range = {
    horizon: horizon.transactionId,
    fromId: from.transactionId,
    fromPosition: from.position,
    untilId: until.transactionId,
    untilPosition: until.position,
    limit,
    topics: [...topics],
  };
  const { rows } = await (types.size > 0
    ? readAll(pool, { ...range, types: [...types] })
    : readTopics(pool, range));
  const [end, ...found] = rows as [EndRow, ...LogRow[]];
  const { server } = end;
  assertOneServer(horizon, { ...from, server });
  const entries = found.map((row) => toEntry(row, server));
  const full = entries.length === limit;
  if (full) return { entries, to: (entries.at(-1) as Entry).at, full, held: end.held };
  const { transaction_id: transactionId, position } = end;
  const to = transactionId === null ? { ...from, server } : { transactionId, position, server };
  return { entries, to, full, held: end.held };
}

function toEntry(row: LogRow, server: string): Entry {
  const { transaction_id: transactionId } = row;
  return {
    at: { transactionId, position: row.position, server },
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
