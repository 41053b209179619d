/** Creates and drops the monthly partitions of the order history. */
import { sql } from 'drizzle-orm';
import type pg from 'pg';
import { toRfc3339 } from '../../../domain/schedule.ts';
import type { HistoryPartitions } from '../../../service/maintenance/ports.ts';
import { attempt, type DrizzleTransaction, on, takeAdvisoryLock } from '../queries.ts';
import { orderHistory } from '../schema/views.ts';

/** Advisory lock number (arbitrary): concurrent maintenance runs one after another. */
const MAINTENANCE_LOCK = 7_337_003;
const MONTHS_AHEAD = 2;
const REST = sql.identifier('order_history_rest');

export function postgresHistoryPartitions(pool: pg.Pool): HistoryPartitions {
  return {
    async maintain(now, keepFrom) {
      const maintained = on(pool).transaction(async (tx) => {
        await takeAdvisoryLock(tx, MAINTENANCE_LOCK);
        const { rows } = await tx.execute<{ name: string }>(
          // By hand: Drizzle has no table for pg_inherits.
          sql`select inhrelid::regclass::text as name from pg_inherits where inhparent = 'order_history'::regclass`,
        );
        const known = new Set(rows.map(({ name }) => name));
        // Drop first: a drop locks the whole table. An append holds that lock while it waits for the default partition, which
        // addPartition locks; the other order could deadlock.
        for (const name of known)
          if (endOf(name) <= keepFrom) await tx.execute(sql`drop table ${sql.identifier(name)}`);
        for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead++) {
          const month = monthOf(now, ahead);
          if (!known.has(month.name)) await addPartition(tx, month);
        }
        await tx.execute(sql`delete from ${REST} where at < to_timestamp(${keepFrom} / 1000.0)`);
      });
      await attempt(maintained);
    },
  };
}

interface Month {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** By hand: Drizzle does not support partitions. Moves the month's rows out of the default partition. */
async function addPartition(tx: DrizzleTransaction, { name, from, to }: Month): Promise<void> {
  const partition = sql.identifier(name);
  const [start, end] = [sql.raw(`'${from}'`), sql.raw(`'${to}'`)];
  await tx.execute(sql`lock table ${REST} in access exclusive mode`);
  await tx.execute(sql`create table ${partition} (like ${orderHistory} including all)`);
  await tx.execute(sql`
    with moved as (delete from ${REST} where at >= ${start} and at < ${end} returning *)
    insert into ${partition} select * from moved`);
  await tx.execute(
    sql`alter table ${orderHistory} attach partition ${partition} for values from (${start}) to (${end})`,
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

/** The end of a partition's month in epoch ms; infinity for the default partition. */
function endOf(name: string): number {
  const [, year, month] = /^order_history_(\d{4})_(\d\d)$/.exec(name) ?? [];
  return year && month ? Date.UTC(Number(year), Number(month)) : Number.POSITIVE_INFINITY;
}
