/** The operator's view of the scheduler: what it did, what waits, and the switch. */
import Router from '@koa/router';
import { toRfc3339 } from '../../domain/schedule.ts';
import type { DispatchReport } from '../../service/dispatch-report.ts';
import type { DueQueue, SchedulerSwitch } from '../../service/scheduler-ports.ts';

export interface SchedulerRouteDeps {
  readonly queue: DueQueue;
  readonly report: DispatchReport;
  readonly schedulerSwitch: SchedulerSwitch;
}

export function schedulerRoutes({ queue, report, schedulerSwitch }: SchedulerRouteDeps): Router {
  const router = new Router();

  router.get('/scheduler', async (ctx) => {
    const { last } = report;
    ctx.body = {
      state: report.state,
      ...(await queue.size()),
      sinceStart: report.totals,
      lastDispatch: last ? { at: toRfc3339(last.at), ...last.line } : null,
    };
  });

  async function set(paused: boolean): Promise<{ paused: boolean }> {
    // The truth first: should Redis be away or lose its data, rebuilding takes the state from there.
    await schedulerSwitch.setPaused(paused);
    await queue.setState(paused ? 'paused' : 'running', { ifComplete: true });
    return { paused };
  }

  router.post('/scheduler/pause', async (ctx) => {
    ctx.body = await set(true);
  });
  router.post('/scheduler/resume', async (ctx) => {
    ctx.body = await set(false);
  });

  return router;
}
