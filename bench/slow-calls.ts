/** Finds the slowest Redis call of a piece of work in Redis's slow log. */
import type { Redis } from 'ioredis';
import { percentile } from './percentiles.ts';

export interface SlowestCall {
  readonly name: string;
  readonly ms: number;
  readonly p99Ms: number;
  /** Events of Redis's latency monitor, such as writing the append-only file. */
  readonly events: string;
}

/** The slowest Redis call while `work` runs; the slow log records every call. */
export async function slowestCall(redis: Redis, work: () => Promise<unknown>): Promise<SlowestCall> {
  await redis.config('SET', 'slowlog-max-len', 1_000_000);
  await redis.config('SET', 'latency-monitor-threshold', 1);
  await redis.slowlog('RESET');
  await redis.call('LATENCY', 'RESET');
  await redis.config('SET', 'slowlog-log-slower-than', 0);
  await work();
  await redis.config('SET', 'slowlog-log-slower-than', -1);
  const entries = (await redis.slowlog('GET', 1_000_000)) as [number, number, number, string[]][];
  const calls = entries
    .map(([, , micros, args]) => ({ name: (args[0] ?? '').toLowerCase(), micros }))
    // Without the benchmark's own calls.
    .filter(({ name }) => !['flushall', 'config', 'slowlog', 'latency'].includes(name));
  const slowest = calls.reduce((slowest, call) => (call.micros > slowest.micros ? call : slowest));
  const latest = (await redis.call('LATENCY', 'LATEST')) as [string, number, number, number][];
  await redis.config('SET', 'latency-monitor-threshold', 0);
  return {
    name: slowest.name,
    ms: slowest.micros / 1_000,
    p99Ms:
      percentile(
        calls.map(({ micros }) => micros),
        0.99,
      ) / 1_000,
    events: latest.map(([name, , , max]) => `${name} ${max} ms`).join(', ') || 'none over 1 ms',
  };
}
