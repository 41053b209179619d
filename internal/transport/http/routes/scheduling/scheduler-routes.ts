/** The operator's routes of the scheduler: read its figures, pause it and resume it. */
import { z } from 'zod';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { DispatchReport } from '../../../../service/scheduling/dispatch-report.ts';
import type { DueQueue, SchedulerSwitch } from '../../../../service/scheduling/ports.ts';
import { type Route, route } from '../../route.ts';

export interface SchedulerRouteDeps {
  readonly queue: DueQueue;
  readonly report: DispatchReport;
  readonly schedulerSwitch: SchedulerSwitch;
}

const count = z.int().min(0);
const ms = z.number().meta({ description: 'milliseconds' });
const schedulerView = z.object({
  state: z.string(),
  waiting: count,
  due: count,
  sinceStart: z.object({ claimed: count, published: count, redelivered: count, failed: count }),
  lastDispatch: z
    .object({
      at: z.string().meta({ format: 'date-time' }),
      claimed: count,
      published: count,
      redelivered: count,
      failed: count,
      waiting: count,
      lateMs: z.object({ p50: ms, p99: ms, max: ms }).optional(),
    })
    .nullable(),
});

const OPERATOR = { access: { roles: ['operator'] }, tag: 'Scheduler' } as const;

export function schedulerRoutes({ queue, report, schedulerSwitch }: SchedulerRouteDeps): readonly Route[] {
  return [
    route({
      ...OPERATOR,
      method: 'GET',
      path: '/scheduler',
      summary: 'Orders dispatched since the start, and orders waiting',
      answers: { 200: { description: 'The scheduler of this process', schema: schedulerView } },
      async handle(ctx) {
        const { last } = report;
        ctx.body = {
          state: report.state,
          ...(await queue.size()),
          sinceStart: report.totals,
          lastDispatch: last ? { at: toRfc3339(last.at), ...last.line } : null,
        };
      },
    }),
    switching('/scheduler/pause', 'Pauses dispatching; orders are still accepted', true),
    switching('/scheduler/resume', 'Resumes dispatching', false),
  ];

  function switching(path: string, summary: string, paused: boolean): Route {
    return route({
      ...OPERATOR,
      method: 'POST',
      path,
      summary,
      answers: {
        200: { description: 'Whether dispatching is paused now', schema: z.object({ paused: z.boolean() }) },
      },
      async handle(ctx) {
        // Postgres first: if Redis is down or loses its data, rebuilding the queue takes the state from Postgres.
        await schedulerSwitch.setPaused(paused);
        await queue.setState(paused ? 'paused' : 'running', { ifComplete: true });
        ctx.body = { paused };
      },
    });
  }
}
