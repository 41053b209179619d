/** Prints the results of a benchmark as a table, and describes the machine and the servers in one line. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { Redis } from 'ioredis';
import pg from 'pg';

export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly ratio?: number;
  readonly target?: Target;
}

export interface Target {
  readonly text: string;
  readonly met: boolean;
}

export const atLeast = (value: number, bound: number, unit = ''): Target => ({
  text: `≥ ${whole(bound)}${unit}`,
  met: value >= bound,
});

export const atMost = (value: number, bound: number, unit = ''): Target => ({
  text: `≤ ${whole(bound)}${unit}`,
  met: value <= bound,
});

/** Formats a number with thousands separators and at most two decimals: none from 100, one from 10. */
export function whole(value: number): string {
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits });
}

export const perSecond = (rate: number, what = '') => `${whole(rate)}${what && ` ${what}`}/s`;

export function printTable(rows: readonly Row[]): void {
  const cells = rows.map(({ what, figure, ratio, target }) => [
    what,
    figure,
    ratio === undefined ? '' : ratio.toFixed(2),
    target?.text ?? '',
    target ? (target.met ? 'yes' : 'NO') : '',
  ]);
  const all = [['what', 'figure', 'ratio', 'target', 'met?'], ...cells];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  for (const [index, row] of all.entries()) {
    console.log(`| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
    if (index === 0) console.log(`|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  }
}

/** Cores, memory, versions and date. */
export async function machineLine(databaseUrl: string, redisUrl?: string): Promise<string> {
  const cores = os.cpus();
  const parts = [
    `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown core'}`,
    `${Math.round(os.totalmem() / 2 ** 30)} GB`,
    `load ${os.loadavg()[0]?.toFixed(1)}`,
    `node ${process.version}`,
    `postgres ${await postgresVersion(databaseUrl)}`,
    redisUrl && (await redisVersion(redisUrl)),
    `kernel ${os.release()}`,
    new Date().toISOString().slice(0, 16),
  ];
  return parts.filter(Boolean).join(', ');
}

async function postgresVersion(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(
    `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit`,
  );
  await client.end();
  return `${rows[0].version} (fsync ${rows[0].fsync}, synchronous_commit ${rows[0].commit})`;
}

async function redisVersion(url: string): Promise<string> {
  const redis = new Redis(url);
  const version = /redis_version:(\S+)/.exec(await redis.info('server'))?.[1];
  const [, append] = (await redis.config('GET', 'appendonly')) as string[];
  const [, fsync] = (await redis.config('GET', 'appendfsync')) as string[];
  redis.disconnect();
  return `redis ${version} (${append === 'yes' ? `append-only file, fsync ${fsync}` : 'memory only'})`;
}

/** The version of a package that is installed beside this file. */
export function peerVersion(name: string): string {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), 'utf8'))
    .version;
}
