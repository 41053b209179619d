/** What an orchestrator and a monitor ask of every process: is it alive, is it ready, and its figures. */
import { z } from 'zod';
import { type Route, route } from '../../route.ts';

export interface Check {
  readonly name: string;
  /** Without it this process cannot do its work; otherwise its fault is shown and the process stays ready. */
  readonly critical: boolean;
  /** Undefined while all is well, else what is wrong. */
  readonly fault: () => Promise<string | undefined>;
}

export interface OpsRouteDeps {
  readonly checks: readonly Check[];
  readonly isStopping: () => boolean;
  readonly metrics: { readonly contentType: string; metrics(): Promise<string> };
}

const CHECK_TIMEOUT_MS = 2_000;

const well = z.object({ status: z.string() });
const readiness = well.extend({ checks: z.record(z.string(), z.string()) });
const PROBE = { method: 'GET', access: 'anyone', tag: 'Operations' } as const;

export function opsRoutes({ checks, isStopping, metrics }: OpsRouteDeps): readonly Route[] {
  return [
    route({
      ...PROBE,
      path: '/livez',
      summary: 'Whether the process is alive',
      answers: { 200: { description: 'It is', schema: well } },
      handle(ctx) {
        ctx.body = { status: 'ok' };
      },
    }),
    route({
      ...PROBE,
      path: '/readyz',
      summary: 'Whether the process can do its work',
      answers: {
        200: { description: 'It can', schema: readiness },
        503: { description: 'It cannot, or is stopping', schema: readiness },
      },
      async handle(ctx) {
        const faults = await Promise.all(
          checks.map(async (check) => ({ ...check, found: await within(check.fault()) })),
        );
        const ready =
          !isStopping() && faults.every(({ critical, found }) => !critical || found === undefined);
        ctx.status = ready ? 200 : 503;
        ctx.body = {
          status: isStopping() ? 'stopping' : ready ? 'ready' : 'not ready',
          checks: Object.fromEntries(faults.map(({ name, found }) => [name, found ?? 'ok'])),
        };
      },
    }),
    route({
      ...PROBE,
      path: '/metrics',
      summary: 'Figures for Prometheus',
      answers: { 200: { description: 'The figures', type: 'text/plain' } },
      async handle(ctx) {
        ctx.body = await metrics.metrics();
        ctx.type = metrics.contentType;
      },
    }),
  ];
}

async function within(fault: Promise<string | undefined>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('no answer in time'), CHECK_TIMEOUT_MS);
  });
  const result = await Promise.race([fault.catch((error: Error) => error.message), timeout]);
  clearTimeout(timer);
  return result;
}
