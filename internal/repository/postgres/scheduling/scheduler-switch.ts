/** The operator's switch for dispatching, kept where it outlives Redis. */
import type pg from 'pg';
import type { SchedulerSwitch } from '../../../service/scheduling/ports.ts';
import { query } from '../database.ts';

const READ = { name: 'read-switch', text: 'SELECT paused FROM scheduler_switch' };
const WRITE = { name: 'write-switch', text: 'UPDATE scheduler_switch SET paused = $1, changed_at = now()' };

export function postgresSchedulerSwitch(pool: pg.Pool): SchedulerSwitch {
  return {
    async isPaused() {
      const { rows } = await query<{ paused: boolean }>(pool, READ);
      return rows[0]?.paused ?? false;
    },
    async setPaused(paused) {
      await query(pool, WRITE, [paused]);
    },
  };
}
