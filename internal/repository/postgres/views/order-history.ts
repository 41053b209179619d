/** The history of orders, in a partition for each month. */
import type pg from 'pg';
import { toRfc3339 } from '../../../domain/schedule.ts';
import type { History } from '../../../service/views/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { asTransient, query } from '../database.ts';
import { asUuid } from '../stream/event-ids.ts';
import { clientOf } from '../transactions.ts';

const ENTRIES = bulkParameters({
  order_id: 'words',
  at: 'timestamptz',
  event_id: 'uuid',
  event_type: 'text',
  producer: 'words',
  payload: 'json',
});

// Input: entries; one that is there stays as it is.
const APPEND = {
  name: 'append-history',
  text: `
    INSERT INTO order_history (${ENTRIES.names}) SELECT ${ENTRIES.names} FROM ${ENTRIES.from} e
    ON CONFLICT DO NOTHING`,
};

// Input: order id, a limit. Output: the newest entries, oldest first.
const OF_ORDER = {
  name: 'history-of-order',
  text: `SELECT * FROM (
      SELECT at, event_id, event_type, producer, payload FROM order_history WHERE order_id = $1
      ORDER BY at DESC, event_id DESC LIMIT $2) newest
    ORDER BY at, event_id`,
};

const PARTITIONS = {
  name: 'history-partitions',
  text: `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'order_history'::regclass`,
};

/** Any number, so that processes that maintain at the same moment do so one after another. */
const MAINTENANCE_LOCK = 7_337_003;
const MONTHS_AHEAD = 2;

interface HistoryRow {
  at: Date;
  event_id: string;
  event_type: string;
  producer: string;
  payload: unknown;
}

export function postgresHistory(pool: pg.Pool): History {
  return {
    async append(tx, events) {
      const entries = events.map((event) => ({
        order_id: event.orderId,
        at: event.occurredAt,
        event_id: asUuid(event.eventId),
        event_type: event.eventType,
        producer: event.producer.slice(0, 64),
        payload: event.payload,
      }));
      await query(clientOf(tx), APPEND, ENTRIES.values(entries));
    },
    async of(orderId, limit) {
      const { rows } = await query<HistoryRow>(pool, OF_ORDER, [orderId, limit]);
      return rows.map((row) => ({
        eventId: row.event_id,
        eventType: row.event_type,
        at: row.at.getTime(),
        producer: row.producer,
        payload: row.payload,
      }));
    },
    async maintain(now, keepFrom) {
      const client = await pool.connect().catch((error) => {
        throw asTransient(error);
      });
      let broken: Error | undefined;
      try {
        await client.query('BEGIN');
        await client.query('SELECT pg_advisory_xact_lock($1)', [MAINTENANCE_LOCK]);
        const { rows } = await query<{ name: string }>(client, PARTITIONS);
        const known = new Set(rows.map(({ name }) => name));
        // First: a drop locks the whole table, which an append holds while it waits for the partition that is locked below.
        for (const name of known) if (endOf(name) <= keepFrom) await client.query(`DROP TABLE ${name}`);
        for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead++) {
          const month = monthOf(now, ahead);
          if (!known.has(month.name)) await addPartition(client, month);
        }
        await client.query('DELETE FROM order_history_rest WHERE at < $1', [new Date(keepFrom)]);
        await client.query('COMMIT');
      } catch (error) {
        // A connection whose rollback fails is of no further use.
        await client.query('ROLLBACK').catch((fault: Error) => {
          broken = fault;
        });
        throw asTransient(error);
      } finally {
        client.release(broken);
      }
    },
  };
}

interface Month {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** What the last partition holds of that month moves over. The names are made here, of digits. */
async function addPartition(client: pg.PoolClient, { name, from, to }: Month): Promise<void> {
  await client.query('LOCK TABLE order_history_rest IN ACCESS EXCLUSIVE MODE');
  await client.query(`CREATE TABLE ${name} (LIKE order_history INCLUDING ALL)`);
  await client.query(
    `WITH moved AS (DELETE FROM order_history_rest WHERE at >= '${from}' AND at < '${to}' RETURNING *)
     INSERT INTO ${name} SELECT * FROM moved`,
  );
  await client.query(
    `ALTER TABLE order_history ATTACH PARTITION ${name} FOR VALUES FROM ('${from}') TO ('${to}')`,
  );
}

function monthOf(now: number, ahead: number): Month {
  const date = new Date(now);
  const start = (months: number) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months);
  const from = toRfc3339(start(ahead));
  return {
    name: `order_history_${from.slice(0, 7).replace('-', '_')}`,
    from,
    to: toRfc3339(start(ahead + 1)),
  };
}

/** When the month of a partition is over, epoch ms; never for the last one. */
function endOf(name: string): number {
  const [, year, month] = /^order_history_(\d{4})_(\d\d)$/.exec(name) ?? [];
  return year && month ? Date.UTC(Number(year), Number(month)) : Number.POSITIVE_INFINITY;
}
