/** The partitions of the orders' history, one for each month. */
import type pg from 'pg';
import { toRfc3339 } from '../../../domain/schedule.ts';
import type { HistoryPartitions } from '../../../service/maintenance/ports.ts';
import { asTransient, query } from '../database.ts';

const PARTITIONS = {
  name: 'history-partitions',
  text: `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'order_history'::regclass`,
};

/** Any number, so that processes that maintain at the same moment do so one after another. */
const MAINTENANCE_LOCK = 7_337_003;
const MONTHS_AHEAD = 2;

export function postgresHistoryPartitions(pool: pg.Pool): HistoryPartitions {
  return {
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
