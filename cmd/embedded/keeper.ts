/** The keeper process: runs the servers for the program that forked it, and stops them when asked or orphaned. */
import fs from 'node:fs';
import getPort, { portNumbers } from 'get-port';
import { type Owner, own } from './owner.ts';
import type { ServerUser } from './place.ts';
import { embeddedPostgres } from './postgres.ts';
import { embeddedRedis, type RedisChoice } from './redis.ts';
import { LOOPBACK, type ServerKind, type ServerProcess, startServer } from './server-process.ts';

/** What the program tells its keeper, as the one argument. */
export interface KeeperOrder {
  program: number;
  dataDir: string;
  user?: ServerUser;
  postgres: boolean;
  redis: boolean;
  redisKind: RedisChoice;
  logFile: string;
  /** Where in the log this run begins. */
  logStart: number;
}

export interface Urls {
  databaseUrl?: string;
  redisUrl?: string;
}

/** `failed` is a sentence: the servers did not start, or one of them has ended; the keeper ends next. */
export type KeeperMessage = { type: 'ready'; urls: Urls } | { type: 'failed'; message: string };

/** Another program may take a port between choosing and binding it. */
const ATTEMPTS = 5;

const order = JSON.parse(process.argv[2]!) as KeeperOrder;
const servers: ServerProcess[] = [];
const urls: Urls = {};
let stopped: Promise<void> | undefined;

function tell(message: KeeperMessage): void {
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}

function fail(message: string): void {
  if (!stopped) tell({ type: 'failed', message });
  void stop(1);
}

function status(): Owner {
  // A program that was killed has given up its children before its end of the channel is noticed here.
  const isOrphan = process.platform !== 'win32' && process.ppid !== order.program;
  return { program: order.program, isStopping: stopped !== undefined || isOrphan, ...urls };
}

/** Starts a server, on another port where the first was taken. Resolves with its URL. */
async function start(name: string, firstPort: number, kindOn: (port: number) => ServerKind): Promise<string> {
  const ports = portNumbers(firstPort, firstPort + 100);
  for (let attempt = 1; ; attempt += 1) {
    const kind = kindOn(await getPort({ host: LOOPBACK, port: ports }));
    if (stopped) throw new Error(`The embedded ${name} was stopped before it started.`);
    const server = startServer(kind);
    servers.push(server);
    try {
      await server.ready;
      void server.ended.then((how) => fail(`The embedded ${name} has ended (${how}).`));
      return kind.url;
    } catch (error) {
      if (stopped || attempt === ATTEMPTS)
        throw new Error(`The embedded ${name} did not start (${(error as Error).message}): ${lastFault()}`);
    }
  }
}

/** The log's last line of this run that tells of a fault, else its last line. */
function lastFault(): string {
  const lines = fs.readFileSync(order.logFile).subarray(order.logStart).toString().trimEnd().split('\n');
  const line = lines.findLast((line) => /FATAL|PANIC|[Ee]rror/.test(line)) ?? lines.at(-1) ?? '';
  return `${line.replace(/^.*(FATAL|PANIC): +/, '').replace(/\.?$/, '.')}`;
}

async function startAll(): Promise<void> {
  const { dataDir, user, redisKind } = order;
  await own(dataDir, status);
  const startPostgres = async () => {
    urls.databaseUrl = await start('Postgres', 54_320, await embeddedPostgres(dataDir, user));
  };
  const startRedis = async () => {
    urls.redisUrl = await start('Redis', 63_790, await embeddedRedis(dataDir, user, redisKind));
  };
  const results = await Promise.allSettled([order.postgres && startPostgres(), order.redis && startRedis()]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  tell({ type: 'ready', urls });
}

/** Stops the servers and ends this process. Safe to call twice. */
function stop(exitCode: number): Promise<void> {
  stopped ??= (async () => {
    const stopAll = () => Promise.all(servers.map((server) => server.stop()));
    await stopAll(); // ends a start that is under way
    await starting.catch(() => {});
    await stopAll();
    process.exit(exitCode);
  })();
  return stopped;
}

// The program decides when its servers stop: a signal to the whole group or container must not come first.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});
process.on('disconnect', () => void stop(0));
process.on('message', (message) => {
  if (message === 'stop') void stop(0);
});

const starting = startAll();
starting.catch((error: Error) => {
  console.error(error);
  fail(error.message);
});
