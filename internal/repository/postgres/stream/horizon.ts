/** The horizon of the event log: every transaction of this database below it has ended, so its events are visible for good. */
import { sql } from 'drizzle-orm';
import type pg from 'pg';
import { statement } from '../queries.ts';

/** The signed distance of a 32-bit transaction id from the ceiling, added to the ceiling: its 64-bit id. */
const idOf = (xid: string) =>
  sql.raw(`ceiling + ((${xid}::text::bigint - ceiling + 2147483648) & 4294967295) - 2147483648`);
const OF_THIS_DATABASE = sql.raw('datid = (select oid from pg_database where datname = current_database())');

/*
 * By hand: the order of its three looks is the point (decision 26). First the ceiling, below which every transaction id has
 * been given out; then the ids that sessions of this database still have open; then those of prepared transactions. What
 * is below all of them has ended before the next statement begins. A role that may not see the ids of other roles'
 * sessions falls back to the snapshot's xmin, which transactions of other databases hold back too.
 */
const find = statement<{ horizon: string }>(
  'find-horizon',
  sql`with now as materialized (
      select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as ceiling, pg_current_snapshot() as snapshot
    )
    select case when not pg_has_role('pg_read_all_stats', 'usage') and exists (
        select from pg_stat_activity where ${OF_THIS_DATABASE} and usesysid is not null and not pg_has_role(usesysid, 'usage')
      ) then pg_snapshot_xmin(snapshot)::text
      else least(
        ceiling,
        (select min(${idOf('backend_xid')}) from pg_stat_activity where ${OF_THIS_DATABASE} and backend_xid is not null),
        (select min(${idOf('transaction')}) from pg_prepared_xacts where database = current_database())
      )::text end as horizon
    from now`,
);

/** A transaction that has been open for some time. */
export interface OpenTransaction {
  /** The session's process at the server; absent for a prepared transaction. */
  readonly pid: number | null;
  /** The application's name, or the id of a prepared transaction. */
  readonly holder: string;
  readonly seconds: number;
}

// By hand: reads the server's views of sessions and prepared transactions.
const open = statement<OpenTransaction & pg.QueryResultRow>(
  'open-transactions',
  sql`select pid, coalesce(nullif(application_name, ''), usename, 'unknown') as holder,
      extract(epoch from clock_timestamp() - xact_start)::float8 as seconds
    from pg_stat_activity where ${OF_THIS_DATABASE} and backend_xid is not null
    union all
    select null, 'prepared transaction ' || gid, extract(epoch from clock_timestamp() - prepared)::float8
    from pg_prepared_xacts where database = current_database()
    order by seconds desc`,
);

/** Must run outside a transaction, so that the server looks at its sessions anew. */
export async function horizonOf(pool: pg.Pool): Promise<string> {
  return ((await find(pool)).rows[0] as { horizon: string }).horizon;
}

/** The transactions that have written something and are still open, oldest first. */
export async function openTransactions(pool: pg.Pool): Promise<readonly OpenTransaction[]> {
  return (await open(pool)).rows;
}
