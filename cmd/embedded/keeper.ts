/** The keeper process: runs the servers for the program that forked it, and stops them when asked or orphaned. */
import { setTimeout as wait } from 'node:timers/promises';
import { tryLock } from './owner-lock.ts';
import { choosePort, isFree } from './ports.ts';
import { embeddedPostgres, endPostgresIn } from './postgres.ts';
import { signal } from './processes.ts';
import { embeddedRedis, endRedisIn, type RedisChoice } from './redis.ts';
import { type Report, type ServerKind, type Supervised, supervise } from './supervise.ts';

/** What the program tells its keeper, as the one argument. */
export interface KeeperOrder {
  dataDir: string;
  postgres: boolean;
  redis: boolean;
  redisKind: RedisChoice;
  /** The ports used last. */
  ports: Ports;
  /** Clients already hold URLs with these ports, so no other will do. */
  samePorts: boolean;
}

export interface Ports {
  postgres?: number;
  redis?: number;
}

export type KeeperMessage =
  | { type: 'event'; event: Parameters<Report>[0] }
  | { type: 'pids'; pids: Partial<Record<'postgres' | 'redis', number>> }
  | { type: 'ready'; ports: Ports }
  | { type: 'failed'; message: string };

/** An earlier keeper of the same directory gets this long to stop its servers before it is killed. */
const PREDECESSOR_MS = 12_000;

const order = JSON.parse(process.argv[2]!) as KeeperOrder;
const supervised: { name: 'postgres' | 'redis'; server: Supervised }[] = [];
const report: Report = (event) => tell({ type: 'event', event });
let stopped: Promise<void> | undefined;

function tell(message: KeeperMessage): void {
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}

function tellPids(): void {
  tell({
    type: 'pids',
    pids: Object.fromEntries(supervised.map(({ name, server }) => [name, server.pid()])),
  });
}

async function waitForPredecessor(): Promise<void> {
  const deadline = performance.now() + PREDECESSOR_MS;
  while (!stopped) {
    const attempt = await tryLock(order.dataDir, 'keeper');
    if (attempt.held) return;
    if (performance.now() > deadline) signal(attempt.holder.pid, 'SIGKILL');
    await wait(25);
  }
}

/** Starts a server, on another port where one was taken between choosing and binding it. */
async function start(
  preferred: (number | undefined)[],
  clearStrays: () => Promise<unknown>,
  describe: (port: number) => ServerKind | Promise<ServerKind>,
): Promise<number> {
  await clearStrays(); // first, for one of them may have the preferred port
  for (let attempt = 1; ; attempt += 1) {
    const port = order.samePorts ? preferred[0]! : await choosePort(attempt === 1 ? preferred : []);
    const kind = await describe(port);
    if (stopped) throw new Error('stopped before it started');
    const server = supervise(kind, { persist: order.samePorts, report, onUp: () => setImmediate(tellPids) });
    const entry = { name: kind.name, server };
    supervised.push(entry);
    try {
      await server.started;
      return port;
    } catch (error) {
      if (stopped || attempt === 5 || (await isFree(port))) throw error;
      supervised.splice(supervised.indexOf(entry), 1);
    }
  }
}

async function startAll(): Promise<void> {
  const { dataDir, redisKind, ports } = order;
  await waitForPredecessor();
  const results = await Promise.allSettled([
    order.postgres
      ? start(
          [ports.postgres, 54320],
          () => endPostgresIn(dataDir),
          (port) => embeddedPostgres(dataDir, port),
        )
      : undefined,
    order.redis
      ? start(
          [ports.redis, 63790],
          () => endRedisIn(dataDir),
          (port) => embeddedRedis(dataDir, port, redisKind),
        )
      : undefined,
  ]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  const [postgres, redis] = results.map((result) =>
    result.status === 'fulfilled' ? result.value : undefined,
  );
  tellPids();
  tell({ type: 'ready', ports: { postgres, redis } });
}

/** Stops the servers and ends this process. Safe to call twice. */
function stop(exitCode: number): Promise<void> {
  stopped ??= (async () => {
    const stopAll = () => Promise.all(supervised.map(({ server }) => server.stop()));
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
  tell({ type: 'failed', message: error.message });
  void stop(1);
});
