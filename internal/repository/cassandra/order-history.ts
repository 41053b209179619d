/** Stores the order history in Cassandra: a partition for each order, a time to live for each entry. */
import cassandra from 'cassandra-driver';
import type { Event } from '../../domain/events.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Clock } from '../../service/ports.ts';
import type { History, HistoryEntry } from '../../service/views/ports.ts';
import { type Cassandra, reasonOf } from './connection.ts';

/** Requests that a call has under way. */
const CONCURRENCY = 32;
const PAGE = 500;
/** Servers before storage version 5 store no time of expiry after January 2038; until a day before it, epoch s. */
const LAST_EXPIRY_S = 2 ** 31 - 86_400;
/** The longest time to live that Cassandra takes, s. */
const LONGEST_S = 20 * 365 * 86_400;

/** The statements; each parameter is a `?`. */
function statementsOn(table: string) {
  const entry = 'at, event_id, event_type, producer, payload';
  return {
    insert: `INSERT INTO ${table} (order_id, ${entry}) VALUES (?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?`,
    newest: `SELECT ${entry} FROM ${table} WHERE order_id = ? LIMIT ?`,
    all: `SELECT ${entry}, TTL(payload) AS ttl, WRITETIME(payload) AS written FROM ${table} WHERE order_id = ?`,
    rewrite: `UPDATE ${table} USING TTL ? AND TIMESTAMP ? SET payload = ? WHERE order_id = ? AND at = ? AND event_id = ?`,
  };
}

export interface HistoryOptions {
  readonly clock: Clock;
  /** How long an entry is kept from the time of its event, ms. */
  readonly keepMs: number;
}

export interface CassandraHistory extends History {
  /** Why the history cannot be used; undefined if it can. */
  fault(): Promise<string | undefined>;
}

export function cassandraHistory(store: Cassandra, { clock, keepMs }: HistoryOptions): CassandraHistory {
  const { insert, newest, all, rewrite } = statementsOn(store.table);

  /** Seconds until an event's entry expires; at most zero if it has. */
  function timeToLive(at: number): number {
    const now = clock.now();
    const seconds = Math.ceil((at + keepMs - now) / 1_000);
    return Math.min(seconds, LONGEST_S, LAST_EXPIRY_S - Math.ceil(now / 1_000));
  }

  function execute(query: string, rows: readonly unknown[][]): Promise<unknown> {
    return store.run((client) =>
      cassandra.concurrent.executeConcurrent(client, query, rows as unknown[][], {
        concurrencyLevel: CONCURRENCY,
        raiseOnFirstError: true,
      }),
    );
  }

  return {
    async append(events: readonly Event[]) {
      const rows = events
        .map((event) => ({ event, at: Date.parse(event.occurredAt) }))
        .map(({ event, at }) => [
          ...[event.orderId, new Date(at), event.eventId, event.eventType, event.producer],
          ...[JSON.stringify(event.payload), timeToLive(at)],
          // The time of the event is the time of the write. So a repeated one changes nothing, and a payload that was
          // rewritten since, with a later time, stays.
          microseconds(at),
        ])
        .filter((row) => (row[6] as number) > 0);
      if (rows.length > 0) await execute(insert, rows);
    },
    async of(orderId: OrderId, limit: number) {
      const { rows } = await store.run((client) =>
        client.execute(newest, [orderId, limit], { fetchSize: PAGE }),
      );
      return rows.map(toEntry).reverse();
    },
    async rewrite(orderIds, change) {
      let count = 0;
      for (const orderId of orderIds) {
        const rows = await store.run(async (client) => {
          const found: unknown[][] = [];
          for await (const row of await client.execute(all, [orderId], { fetchSize: PAGE })) {
            const entry = toEntry(row);
            const text = JSON.stringify(change(entry));
            if (text === row.payload) continue;
            found.push([row.ttl ?? 0, later(row.written, clock.now()), text, orderId, row.at, row.event_id]);
          }
          return found;
        });
        if (rows.length > 0) await execute(rewrite, rows);
        count += rows.length;
      }
      return count;
    },
    async fault() {
      try {
        await store.run((client) => client.execute(newest, ['-', 1]));
        return undefined;
      } catch (error) {
        return reasonOf((error as Error).cause ?? error);
      }
    },
  };
}

type Row = cassandra.types.Row;

const { Long } = cassandra.types;

const microseconds = (at: number) => Long.fromNumber(at * 1_000);

/** A time of writing, now if possible, that is later than the one that was written. */
function later(written: cassandra.types.Long, now: number): cassandra.types.Long {
  const current = microseconds(now);
  return current.greaterThan(written) ? current : written.add(1);
}

function toEntry(row: Row): HistoryEntry {
  return {
    eventId: row.event_id,
    eventType: row.event_type,
    at: row.at.getTime(),
    producer: row.producer,
    payload: JSON.parse(row.payload),
  };
}
