/** Starts the Postgres and Redis of a Tiffin that was given none, through a keeper process that outlives no owner. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { KeeperMessage, KeeperOrder, Ports } from './keeper.ts';
import { tryLock } from './owner-lock.ts';
import { endPostgresIn, postgresUrl } from './postgres.ts';
import { type EmbeddedRecord, findRunning, readRecord, writeRecord } from './record.ts';
import { endRedisIn, type RedisChoice, redisUrl } from './redis.ts';
import { lastLines, openLog, type Report } from './supervise.ts';

export { findRunning };

export interface EmbeddedServers {
  databaseUrl: string | undefined;
  redisUrl: string | undefined;
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  dataDir: string;
  postgres: boolean;
  redis: boolean;
  /** `auto`: redis-server, then valkey-server on the PATH, else WebAssembly. */
  redisKind?: RedisChoice;
  /** Lines for the program's logger. */
  onEvent: Report;
}

/** Another live process owns the data directory. */
export class DataDirInUse extends Error {
  constructor(dataDir: string, pid: number, urls: { databaseUrl?: string; redisUrl?: string } | undefined) {
    const settings = [
      urls?.databaseUrl && `DATABASE_URL=${urls.databaseUrl}`,
      urls?.redisUrl && `REDIS_URL=${urls.redisUrl}`,
    ].filter(Boolean);
    const share = settings.length > 0 ? `, or share its servers with ${settings.join(' ')}` : '';
    super(
      `The data directory ${dataDir} is in use by process ${pid}; stop it, choose another DATA_DIR${share}.`,
    );
    this.name = 'DataDirInUse';
  }
}

const STOP_LIMIT_MS = 9_500;
const LONGEST_BACKOFF_MS = 5_000;
const SETTLED_MS = 30_000;

export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServers> {
  const { onEvent } = options;
  const dataDir = prepareDataDir(options.dataDir);
  const lock = await tryLock(dataDir, 'owner');
  if (!lock.held) throw new DataDirInUse(dataDir, lock.holder.pid, await findRunning(dataDir));

  let record: EmbeddedRecord = {
    owner: lock.id,
    ports: readRecord(dataDir).ports,
    pids: { program: process.pid },
  };
  let keeper: ChildProcess | undefined;
  const stopping = new AbortController();

  /** Forks a keeper and resolves when its servers answer. */
  const startKeeper = async (samePorts: boolean): Promise<{ child: ChildProcess; ports: Ports }> => {
    const { postgres, redis, redisKind = 'auto' } = options;
    const child = forkKeeper({ dataDir, postgres, redis, redisKind, ports: record.ports, samePorts });
    keeper = child;
    return new Promise((resolve, reject) => {
      let failure = '';
      child.on('message', (message: KeeperMessage) => {
        switch (message.type) {
          case 'event':
            return onEvent(message.event);
          case 'pids':
            record = { ...record, pids: { program: process.pid, keeper: child.pid, ...message.pids } };
            if (record.databaseUrl || record.redisUrl) writeRecord(dataDir, record);
            return;
          case 'ready':
            return resolve({ child, ports: message.ports });
          case 'failed':
            failure = message.message;
            return;
          default:
            return message satisfies never;
        }
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        if (keeper === child) keeper = undefined;
        const log = path.join(dataDir, 'logs', 'keeper.log');
        reject(
          new Error(
            failure || `The keeper of the embedded servers ended (${signal ?? code}): ${lastLines(log)}`,
          ),
        );
      });
    });
  };

  /** Replaces each keeper that dies, on the same ports, until stopped. */
  const watch = async (first: ChildProcess) => {
    let current: ChildProcess | undefined = first;
    for (let failures = 0; !stopping.signal.aborted; ) {
      const since = performance.now();
      if (current && current.exitCode === null && current.signalCode === null) await once(current, 'exit');
      if (stopping.signal.aborted) return;
      failures = performance.now() - since > SETTLED_MS ? 0 : failures + 1;
      onEvent({ level: 'warn', msg: 'the keeper of the embedded servers died, starting another', failures });
      const backoff = failures <= 1 ? 0 : Math.min(50 * 2 ** failures, LONGEST_BACKOFF_MS);
      await wait(backoff, undefined, { signal: stopping.signal, ref: false }).catch(() => {});
      if (stopping.signal.aborted) return;
      current = await startKeeper(true).then(
        ({ child }) => child,
        (error: Error) => {
          if (!stopping.signal.aborted)
            onEvent({ level: 'warn', msg: 'the keeper did not start', error: error.message });
          return undefined;
        },
      );
      if (current) unref(current);
    }
  };

  const close = async () => {
    stopping.abort();
    const child = keeper;
    if (child) {
      child.ref();
      const gone = once(child, 'exit');
      if (child.connected) child.send('stop', () => {});
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      await gone;
      clearTimeout(timer);
    }
    // Nothing is left here unless the keeper was killed.
    await Promise.all([endPostgresIn(dataDir), endRedisIn(dataDir)]);
    writeRecord(dataDir, { ports: record.ports });
    await lock.release();
  };

  try {
    const { child, ports } = await startKeeper(false);
    record = {
      ...record,
      ports: { ...record.ports, ...ports },
      databaseUrl: ports.postgres ? postgresUrl(ports.postgres) : undefined,
      redisUrl: ports.redis ? redisUrl(ports.redis) : undefined,
    };
    writeRecord(dataDir, record);
    unref(child);
    void watch(child);
  } catch (error) {
    await close();
    throw error;
  }
  let closed: Promise<void> | undefined;
  return {
    databaseUrl: record.databaseUrl,
    redisUrl: record.redisUrl,
    stop: () => (closed ??= close()),
  };
}

function prepareDataDir(dir: string): string {
  const created = fs.mkdirSync(dir, { recursive: true });
  // Postgres under another user has to pass through it, whatever this program's umask is.
  if (created && process.getuid?.() === 0) fs.chmodSync(dir, 0o755);
  fs.mkdirSync(path.join(dir, 'logs'), { recursive: true });
  return fs.realpathSync(dir);
}

/** In a process group of its own, so that Ctrl-C reaches the program alone, which stops it when it has drained. */
function forkKeeper(order: KeeperOrder): ChildProcess {
  const log = openLog(path.join(order.dataDir, 'logs', 'keeper.log'));
  try {
    return fork(fileURLToPath(import.meta.resolve('./keeper.ts')), [JSON.stringify(order)], {
      cwd: order.dataDir,
      detached: true,
      execArgv: ['--import', import.meta.resolve('tsx')],
      stdio: ['ignore', log, log, 'ipc'],
    });
  } finally {
    fs.closeSync(log);
  }
}

/** A program that has nothing else to do may end; its keeper then stops the servers. */
function unref(child: ChildProcess): void {
  child.unref();
  child.channel?.unref();
}
