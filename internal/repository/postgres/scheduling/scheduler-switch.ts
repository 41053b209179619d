/** Stores the operator's switch for dispatching in Postgres, where a loss of Redis does not reset it. */
import { sql } from 'drizzle-orm';
import type pg from 'pg';
import type { SchedulerSwitch } from '../../../service/scheduling/ports.ts';
import { prepared } from '../queries.ts';
import { schedulerSwitch } from '../schema/scheduling.ts';

const read = prepared('read-switch', (db) =>
  db.select({ paused: schedulerSwitch.paused }).from(schedulerSwitch),
);
const write = prepared('write-switch', (db) =>
  db.update(schedulerSwitch).set({ paused: sql`${sql.placeholder('paused')}`, changedAt: sql`now()` }),
);

export function postgresSchedulerSwitch(pool: pg.Pool): SchedulerSwitch {
  return {
    isPaused: async () => (await read(pool))[0]?.paused ?? false,
    setPaused: async (paused) => void (await write(pool, { paused })),
  };
}
