/** Starts the Postgres and Redis of a Tiffin that was given none, in a keeper process that ends with the program. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../faults.ts';
import type { KeeperMessage, KeeperOrder, Urls } from './keeper.ts';
import { unlock } from './lock.ts';
import { prepareDataDir } from './place.ts';
import { postgresPidFile } from './postgres.ts';
import { type RedisChoice, redisPidFile } from './redis.ts';
import { endStray } from './server-process.ts';

export interface EmbeddedOptions {
  dataDir: string;
  postgres: boolean;
  redis: boolean;
  /** `auto`: redis-server, then valkey-server on the PATH, else WebAssembly. */
  redisKind?: RedisChoice;
}

export interface EmbeddedServers extends Urls {
  /** Resolves with a sentence when a server ends without having been stopped; the others are stopped. */
  failed: Promise<string>;
  stop(): Promise<void>;
}

const STOP_LIMIT_MS = 12_000;
const LOG_LIMIT_BYTES = 5_000_000;

export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServers> {
  const { dataDir, user } = prepareDataDir(options.dataDir);
  const { postgres, redis, redisKind = 'auto' } = options;
  const child = forkKeeper({ program: process.pid, dataDir, user, postgres, redis, redisKind });
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= stopKeeper(child, dataDir));

  const failed = new Promise<string>((resolve) => {
    child.on('message', (message: KeeperMessage) => message.type === 'failed' && resolve(message.message));
    child.once('error', (error) => resolve(`The keeper of the embedded servers: ${error.message}.`));
    child.once('exit', (code, signal) => {
      if (!stopping)
        resolve(`The keeper of the embedded servers has ended (${signal ?? `exit code ${code}`}).`);
    });
  });
  const ready = new Promise<Urls>((resolve) => {
    child.on('message', (message: KeeperMessage) => message.type === 'ready' && resolve(message.urls));
  });
  const outcome = await Promise.race([ready, failed]);
  if (typeof outcome === 'string') {
    await stop();
    throw new ConfigError(outcome);
  }
  // A program that has nothing else to do may end; its keeper then stops the servers.
  child.unref();
  child.channel?.unref();
  return { ...outcome, failed, stop };
}

/** In a process group of its own, so that Ctrl-C reaches the program alone, which stops it when it has drained. */
function forkKeeper(order: Omit<KeeperOrder, 'logFile' | 'logStart'>): ChildProcess {
  const { dataDir, user } = order;
  const logFile = path.join(dataDir, 'servers.log');
  const size = fs.statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  const log = fs.openSync(logFile, size > LOG_LIMIT_BYTES ? 'w' : 'a');
  if (user) fs.fchownSync(log, user.uid, user.gid);
  const full: KeeperOrder = { ...order, logFile, logStart: fs.fstatSync(log).size };
  try {
    return fork(fileURLToPath(import.meta.resolve('./keeper.ts')), [JSON.stringify(full)], {
      cwd: dataDir,
      detached: true,
      execArgv: ['--import', import.meta.resolve('tsx')],
      stdio: ['ignore', log, log, 'ipc'],
    });
  } finally {
    fs.closeSync(log);
  }
}

async function stopKeeper(child: ChildProcess, dataDir: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.ref();
    const gone = once(child, 'exit');
    if (child.connected) child.send('stop', () => {});
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await gone;
    clearTimeout(timer);
  }
  if (child.signalCode === null) return;
  // A keeper that was killed leaves its servers and its lock.
  await Promise.all([postgresPidFile(dataDir), redisPidFile(dataDir)].map(endStray));
  unlock(dataDir);
}
