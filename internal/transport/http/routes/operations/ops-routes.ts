/** The probes of every process: liveness, readiness and metrics. */
import { z } from 'zod';
import { within } from '../../../../service/time-limit.ts';
import { type Route, route } from '../../route.ts';

export interface Check {
  readonly name: string;
  /** Whether a fault makes the process not ready; otherwise the fault is only reported. */
  readonly critical: boolean;
  /** Resolves with a description of the fault, or undefined if there is none. */
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
      answers: { 200: { description: 'The process is alive', schema: well } },
      handle(ctx) {
        ctx.body = { status: 'ok' };
      },
    }),
    route({
      ...PROBE,
      path: '/readyz',
      summary: 'Whether the process can do its work',
      answers: {
        200: { description: 'The process is ready', schema: readiness },
        503: { description: 'The process is not ready, or is stopping', schema: readiness },
      },
      async handle(ctx) {
        const faults = await Promise.all(
          checks.map(async (check) => ({ ...check, found: await faultOf(check) })),
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
      summary: 'Metrics for Prometheus',
      answers: { 200: { description: 'The metrics', type: 'text/plain' } },
      async handle(ctx) {
        ctx.body = await metrics.metrics();
        ctx.type = metrics.contentType;
      },
    }),
  ];
}

/** A check that does not end in time, or fails, has found a fault. */
export function faultOf({ name, fault }: Check): Promise<string | undefined> {
  return within(CHECK_TIMEOUT_MS, fault(), name).catch((error: Error) => error.message);
}
