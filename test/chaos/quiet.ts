/** Waits until nothing changes any more: every order has ended, its money is settled, and no row is written. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

const EVERY_MS = 500;
const STILL_MS = 3_000;

/** What is left to do, and a text that changes with every row that is written. */
const STATE = `
  SELECT
    (SELECT count(*) FROM orders WHERE status NOT IN ('COMPLETED', 'DELIVERED', 'FAILED', 'REJECTED', 'CANCELLED'))::int AS open,
    (SELECT count(*) FROM payments p JOIN orders o USING (order_id)
      WHERE p.state = 'PENDING' OR (p.state = 'AUTHORIZED' AND o.status IN ('COMPLETED', 'DELIVERED', 'FAILED', 'REJECTED', 'CANCELLED')))::int AS unsettled,
    (SELECT count(*) FROM notifications WHERE state = 'PENDING')::int AS unsent,
    concat_ws(' ', (SELECT count(*) FROM events), (SELECT count(*) FROM processed_events), (SELECT count(*) FROM order_history),
      (SELECT count(*) FROM dead_letters), (SELECT sum(version) FROM payments), (SELECT count(*) FROM timers)) AS rows`;

/** Resolves with what is still open after the time limit; undefined if all is quiet. */
export async function untilQuiet(databaseUrl: string, withinMs: number): Promise<string | undefined> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  pool.on('error', () => {});
  try {
    const started = performance.now();
    let rows = '';
    let stillSince = started;
    for (;;) {
      const { rows: found } = await pool.query(STATE);
      const { open, unsettled, unsent } = found[0];
      const isBusy = open > 0 || unsettled > 0 || unsent > 0;
      if (isBusy || found[0].rows !== rows) stillSince = performance.now();
      rows = found[0].rows;
      if (performance.now() - stillSince > STILL_MS) return undefined;
      if (performance.now() - started > withinMs)
        return `${open} orders have not ended, ${unsettled} payments are not settled, ${unsent} messages are not sent`;
      await pause(EVERY_MS);
    }
  } finally {
    await pool.end();
  }
}
