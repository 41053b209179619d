/** The horizon of the event log: every transaction of this database below it has ended, so its events are visible for good. */
import { and, eq, isNotNull, sql } from 'drizzle-orm';
import { integer, pgView, text, unionAll } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import type { Log, LogPosition } from '../../../service/ports.ts';
import { attempt, on, SERVER, statement } from '../queries.ts';
import { timestamptz } from '../schema/columns.ts';
import type { Stretch } from './log-tail.ts';

/** Events that are held back for this time are reported, with the transaction that holds them. */
const HELD_MS = 10_000;
/** While events are held back, the log is read again at once. */
const SEEN_MS = 5_000;

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
const find = statement<{ horizon: string; server: string }>(
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
      )::text end as horizon, ${SERVER} as server
    from now`,
);

/** A transaction that has been open for some time. */
export interface OpenTransaction {
  /** The session's process at the server; absent for a prepared transaction. */
  readonly pid: number | null;
  /** The application's name, or the id of a prepared transaction. */
  readonly holder: string;
  /** Epoch ms. */
  readonly since: number;
}

const sessions = pgView('pg_stat_activity', {
  pid: integer('pid'),
  application: text('application_name'),
  transactionId: text('backend_xid'),
  since: timestamptz('xact_start').notNull(),
}).existing();
const prepared = pgView('pg_prepared_xacts', {
  gid: text('gid').notNull(),
  database: text('database'),
  since: timestamptz('prepared').notNull(),
}).existing();

/** The position of the horizon. Must run outside a transaction, so that the server looks at its sessions anew. */
export async function horizonOf(pool: pg.Pool): Promise<LogPosition> {
  const [row] = (await find(pool)).rows as [{ horizon: string; server: string }];
  return { transactionId: row.horizon, position: '0', server: row.server };
}

/** The transactions that have written something and are still open, oldest first. */
export async function openTransactions(pool: pg.Pool): Promise<readonly OpenTransaction[]> {
  const db = on(pool);
  const ofSessions = db
    .select({ pid: sessions.pid, holder: sql<string>`${sessions.application}`, since: sessions.since })
    .from(sessions)
    .where(and(OF_THIS_DATABASE, isNotNull(sessions.transactionId)));
  const ofPrepared = db
    .select({
      pid: sql<null>`null`,
      holder: sql<string>`'prepared transaction ' || ${prepared.gid}`,
      since: prepared.since,
    })
    .from(prepared)
    .where(eq(prepared.database, sql`current_database()`));
  const open = await attempt(unionAll(ofSessions, ofPrepared));
  return open.sort((a, b) => a.since - b.since);
}

/** How long the oldest transaction of each holder has been open, seconds. `transactions` has the oldest first. */
export function secondsOpen(
  transactions: readonly OpenTransaction[],
  now: number,
): ReadonlyMap<string, number> {
  const seconds = new Map<string, number>();
  for (const { holder, since } of transactions)
    if (!seconds.has(holder)) seconds.set(holder, (now - since) / 1_000);
  return seconds;
}

export interface HeldReport {
  /** Takes note of a stretch that was read, and returns it. */
  seen(stretch: Stretch): Stretch;
  /** Why the readers of this process get no events. */
  fault(): string | undefined;
}

/** Reports which transaction holds back events while the end of the log stays the same. */
export function heldReport(pool: pg.Pool, log: Log): HeldReport {
  let since = { transactionId: '', at: 0 };
  let seenAt = 0;
  let loggedAt = 0;
  const heldMs = () => performance.now() - since.at;

  function seen(stretch: Stretch): Stretch {
    const { held, to } = stretch;
    const now = performance.now();
    seenAt = now;
    if (!held || to.transactionId !== since.transactionId)
      since = { transactionId: to.transactionId, at: now };
    if (heldMs() > HELD_MS && now - loggedAt > HELD_MS) {
      loggedAt = now;
      openTransactions(pool).then(
        ([oldest]) =>
          oldest &&
          log.warn({ ...oldest }, 'an open transaction holds back the events that were appended after it'),
        (error: Error) => log.debug({ error: error.message }, 'open transactions could not be read'),
      );
    }
    return stretch;
  }

  return {
    seen,
    fault() {
      // Without a reader, nothing is known any more.
      if (performance.now() - seenAt > SEEN_MS || heldMs() < HELD_MS) return undefined;
      return `an open transaction has held back events for ${Math.round(heldMs() / 1_000)} s`;
    },
  };
}
