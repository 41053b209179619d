/** Starts programs with embedded servers on data directories of their own, and finds the processes that run there. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, type ForkOptions, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { type EmbeddedOptions, startEmbedded } from '../../cmd/embedded/servers.ts';

export type Urls = { databaseUrl: string; redisUrl: string };

export interface Program {
  process: ChildProcess;
  /** Its URLs, or a rejection with the program's message. */
  up: Promise<Urls>;
  /** The program's message when a server ends by itself. */
  failed: Promise<string>;
  exited: Promise<unknown>;
}

/** A directory for the data directories of one test file. */
export const root = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-embedded-'));
fs.chmodSync(root, 0o755);
const programs: Program[] = [];
let directories = 0;

afterEach(() => Promise.all(programs.splice(0).map((program) => stop(program))));
after(() => {
  const left = fs.readdirSync(root).flatMap((name) => running(path.join(root, name)));
  fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  assert.deepEqual(left, [], 'servers were left running');
});

/** Copies an initialised data directory, which saves each test an initdb. */
export async function dataDir(): Promise<string> {
  directories += 1;
  const dir = path.join(root, `data${directories}`);
  const from = await initialised();
  fs.mkdirSync(dir);
  execFileSync('cp', ['-a', path.join(from, 'postgres'), dir]);
  return dir;
}

let template: Promise<string> | undefined;
function initialised(): Promise<string> {
  template ??= (async () => {
    const dir = path.join(root, 'template');
    const servers = await startEmbedded({ dataDir: dir, postgres: true, redis: false });
    await servers.stop();
    return dir;
  })();
  return template;
}

export function start(
  options: Partial<EmbeddedOptions> & { dataDir: string },
  as: ForkOptions = {},
): Program {
  const full = { postgres: true, redis: true, redisKind: 'wasm', ...options };
  const child = fork(fileURLToPath(import.meta.resolve('./program.ts')), [JSON.stringify(full)], {
    execArgv: ['--import', import.meta.resolve('tsx')],
    cwd: '/',
    ...as,
  });
  const failed = new Promise<string>((resolve) => {
    child.on('message', (message: { failed?: string }) => message.failed && resolve(message.failed));
  });
  const up = new Promise<Urls>((resolve, reject) => {
    child.on('message', (message: { up?: Urls; refused?: string }) => {
      if (message.up) resolve(message.up);
      if (message.refused) reject(new Error(message.refused));
    });
    child.once('exit', () => reject(new Error('the program ended')));
  });
  up.catch(() => {});
  const program = { process: child, up, failed, exited: once(child, 'exit') };
  programs.push(program);
  return program;
}

export async function stop({ process: child, exited }: Program): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await exited;
}

export async function kill({ process: child, exited }: Program): Promise<void> {
  child.kill('SIGKILL');
  await exited;
}

export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

export async function ping(url: string): Promise<string> {
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: null });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return await redis.ping();
  } finally {
    redis.disconnect();
  }
}

export async function assertBothAnswer({ databaseUrl, redisUrl }: Urls): Promise<void> {
  assert.deepEqual(await query(databaseUrl, 'SELECT 1 AS one'), [{ one: 1 }]);
  assert.equal(await ping(redisUrl), 'PONG');
}

/** Pids of all server processes of a data directory. */
export const running = (dir: string) =>
  ['postgres', 'redis'].flatMap((name) => processesIn(path.join(dir, name)));

/** Pids of the processes that work in a directory. */
export function processesIn(dir: string): number[] {
  if (process.platform !== 'linux') {
    const { stdout } = spawnSync('lsof', ['-t', '-a', '-d', 'cwd', '--', dir], { encoding: 'utf8' });
    return stdout.split('\n').filter(Boolean).map(Number);
  }
  return fs
    .readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && workingDirectoryOf(pid) === dir);
}

function workingDirectoryOf(pid: number): string | undefined {
  try {
    return fs.readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined; // The process has ended.
  }
}

/** Pids of the servers and of the keeper, whose children they are. */
export function pidsOf(dir: string): { postgres: number; redis: number; keeper: number } {
  const postgres = Number(
    fs.readFileSync(path.join(dir, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0],
  );
  const redis = processesIn(path.join(dir, 'redis'))[0] as number;
  return { postgres, redis, keeper: Number(columnOf('ppid', redis)) };
}

/** A column of `ps` for a process. */
export function columnOf(column: string, pid: number): string {
  return execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }).trim();
}

export function exists(pid: number): boolean {
  try {
    return !columnOf('stat', pid).startsWith('Z');
  } catch {
    return false;
  }
}
