/** The servers of a benchmark: Postgres as Tiffin embeds it, and redis-server with the append-only file that the peers need. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import getPort from 'get-port';
import { Redis } from 'ioredis';
import pg from 'pg';
import { startEmbedded } from '../cmd/embedded/servers.ts';

export interface BenchServers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** Creates an empty database on the same server and returns its URL. */
  newDatabase(name: string): Promise<string>;
}

/** Starts the servers in a new directory and runs `work`; then stops them and removes the directory, even after an error. */
export async function withServers(work: (servers: BenchServers) => Promise<void>): Promise<void> {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-bench-'));
  fs.chmodSync(root, 0o755);
  const stops: (() => Promise<void>)[] = [async () => fs.rmSync(root, { recursive: true, force: true })];
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    for (const one of stops.reverse()) await one();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopping ??= stop();
      void stopping.finally(() => process.exit(130));
    });
  }
  try {
    const embedded = await startEmbedded({
      dataDir: path.join(root, 'data'),
      postgres: true,
      redis: false,
    });
    stops.push(() => embedded.stop());
    const redis = await startRedis(path.join(root, 'redis'));
    stops.push(() => endChild(redis.child));
    const databaseUrl = embedded.databaseUrl ?? '';
    await work({
      databaseUrl,
      redisUrl: redis.url,
      newDatabase: (name) => createDatabase(databaseUrl, name),
    });
  } finally {
    stopping ??= stop();
    await stopping;
  }
}

async function startRedis(dir: string): Promise<{ child: ChildProcess; url: string }> {
  fs.mkdirSync(dir);
  const port = await getPort({ host: '127.0.0.1' });
  const durable = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'];
  const child = spawn(
    'redis-server',
    [
      '--bind',
      '127.0.0.1',
      '--port',
      String(port),
      '--dir',
      dir,
      '--auto-aof-rewrite-percentage',
      '0',
      ...durable,
    ],
    { stdio: 'ignore' },
  );
  process.once('exit', () => child.kill('SIGKILL'));
  await Promise.race([
    once(child, 'spawn'),
    once(child, 'error').then(([error]) =>
      Promise.reject(new Error(`redis-server is needed: ${error.message}`)),
    ),
  ]);
  const url = `redis://127.0.0.1:${port}`;
  const redis = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: 200 });
  redis.on('error', () => {});
  await redis.ping();
  redis.disconnect();
  return { child, url };
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(timer);
}

async function createDatabase(databaseUrl: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const url = new URL(databaseUrl);
  url.pathname = name;
  return url.href;
}
