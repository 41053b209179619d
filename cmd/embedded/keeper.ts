/** The keeper process: runs the servers for the program that forked it, and stops them when asked or when that program ends. */
import fs from 'node:fs';
import getPort, { portNumbers } from 'get-port';
import { eraseRecord, lockDataDir, record } from './lock.ts';
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
let isLocked = false;
let isEnding = false;

function tell(message: KeeperMessage): void {
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}

/** Stops the servers and ends this process; with a fault, tells the program. */
async function end(fault?: string): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  if (fault) tell({ type: 'failed', message: fault });
  if (isLocked) eraseRecord(order.dataDir);
  await Promise.all(servers.map((server) => server.stop()));
  process.exit(fault ? 1 : 0);
}

/** Starts a server, on another port where the first was taken. Resolves with its URL. */
async function start(name: string, firstPort: number, kindOn: (port: number) => ServerKind): Promise<string> {
  const ports = portNumbers(firstPort, firstPort + 100);
  for (let attempt = 1; ; attempt += 1) {
    const kind = kindOn(await getPort({ host: LOOPBACK, port: ports }));
    if (isEnding) throw new Error(`The embedded ${name} was stopped before it started.`);
    const server = startServer(kind);
    servers.push(server);
    try {
      await server.ready;
      void server.ended.then((how) => end(`The embedded ${name} has ended (${how}).`));
      return kind.url;
    } catch (error) {
      if (isEnding || attempt === ATTEMPTS)
        throw new Error(`The embedded ${name} did not start (${(error as Error).message}): ${lastFault()}`);
    }
  }
}

/** The log's last line of this run that reports a fault, else its last line. */
function lastFault(): string {
  const lines = fs.readFileSync(order.logFile).subarray(order.logStart).toString().trimEnd().split('\n');
  const line = lines.findLast((line) => /FATAL|PANIC|[Ee]rror/.test(line)) ?? lines.at(-1) ?? '';
  return `${line.replace(/^.*(FATAL|PANIC): +/, '').replace(/\.?$/, '.')}`;
}

async function startAll(): Promise<Urls> {
  const { program, dataDir, user, redisKind } = order;
  await lockDataDir(dataDir, program, () => {
    isLocked = false;
    void end(`Another process has taken over the data directory ${dataDir}.`);
  });
  isLocked = true;
  const urls: Urls = {};
  const startPostgres = async () => {
    urls.databaseUrl = await start('Postgres', 54_320, await embeddedPostgres(dataDir, user));
  };
  const startRedis = async () => {
    urls.redisUrl = await start('Redis', 63_790, await embeddedRedis(dataDir, user, redisKind));
  };
  await Promise.all([order.postgres && startPostgres(), order.redis && startRedis()]);
  record(dataDir, { program, ...urls });
  return urls;
}

// The program decides when its servers stop: a signal to the whole group or container must not come first.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});
process.on('disconnect', () => void end());
process.on('message', (message) => {
  if (message === 'stop') void end();
});

try {
  const urls = await startAll();
  if (!isEnding) tell({ type: 'ready', urls });
} catch (error) {
  console.error(error);
  await end((error as Error).message);
}
