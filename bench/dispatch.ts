/** Measures rate and lateness of the due queue, the dispatcher and processing, and compares them with the peers. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { readConfig } from '../cmd/config.ts';
import { run } from '../cmd/run.ts';
import { processingService } from '../cmd/services/processing-service.ts';
import { schedulerWorker } from '../cmd/services/scheduler-worker.ts';
import { type Wiring, wire } from '../cmd/wire.ts';
import type { OrderId } from '../internal/domain/order.ts';
import { startDispatcher, until, watch } from './dispatching.ts';
import { dueInOneSecond, LEASE_MS, measureQueue, wallClock } from './due-queue-ceiling.ts';
import { insertWaiting } from './orders.ts';
import { installPeers, runPeer } from './peers.ts';
import { median, percentile, spread } from './percentiles.ts';
import { benchLog } from './quiet.ts';
import { type BenchServers, withServers } from './servers.ts';
import { slowestCall } from './slow-calls.ts';
import {
  atLeast,
  atMost,
  machineLine,
  peerVersion,
  perSecond,
  printTable,
  type Row,
  whole,
} from './table.ts';

const BURST = Number(process.argv[2] ?? 100_000);
const DRAIN_ROUNDS = 3;
const PEER_JOBS = Math.min(BURST, 50_000);
const STEADY_RATE = 500;
const STEADY_S = 20;
const IDLE_S = 5;
const PROCESSED = 20_000;

const log = benchLog();

/** Orders per second, all due at the start, from the first claim until every order is published and acknowledged. */
async function measureDrain(wiring: Wiring, redis: Redis, pool: pg.Pool): Promise<number> {
  await redis.flushall();
  await pool.query('TRUNCATE events');
  await wiring.queue.setState('running');
  await wiring.queue.schedule(dueInOneSecond(BURST, -2_000));
  const watched = watch(wiring.bus);
  const started = performance.now();
  const dispatching = startDispatcher(wiring, watched, log);
  await until(() => watched.published === BURST);
  await until(async () => (await redis.zcount('tiffin:{s00}:due', '-inf', '(9e15')) === 0);
  const seconds = (performance.now() - started) / 1000;
  await dispatching.stop();
  return BURST / seconds;
}

/** Lateness in milliseconds of `count` orders whose due times are spread over `seconds`. */
async function measureLateness(wiring: Wiring, redis: Redis, count: number, seconds: number) {
  await redis.flushall();
  await wiring.queue.setState('running');
  const watched = watch(wiring.bus);
  const dispatching = startDispatcher(wiring, watched, log);
  await pause(100);
  const from = wallClock() + 1_500;
  await wiring.queue.schedule(
    Array.from({ length: count }, (_, n) => ({
      orderId: randomUUID() as OrderId,
      dueAt: Math.round(from + (n * seconds * 1_000) / count),
    })),
  );
  dispatching.loop.wake();
  await until(() => watched.published >= count, 50);
  await dispatching.stop();
  return { lateness: watched.lateness, early: watched.early };
}

/** Script calls per second while no order is due soon, as counted by Redis. */
async function measureIdle(wiring: Wiring, redis: Redis): Promise<number> {
  await redis.flushall();
  const loops = schedulerWorker(wiring).loops?.() ?? [];
  await pause(1_500);
  await wiring.queue.schedule([{ orderId: randomUUID() as OrderId, dueAt: Date.now() + 3_600_000 }]);
  const calls = async () =>
    Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
  const before = await calls();
  await pause(IDLE_S * 1_000);
  const polls = (await calls()) - before;
  await Promise.all(loops.map((loop) => loop.stop()));
  return polls / IDLE_S;
}

/** Orders per second from order.ready to COMPLETED, by both consumers in one process; the events are all in the stream first. */
async function measureProcessing({ newDatabase, redisUrl }: BenchServers, redis: Redis): Promise<number> {
  const databaseUrl = await newDatabase('processing');
  const wiring = await wire(
    { ...readConfig({ PORT: '0' }), DATABASE_URL: databaseUrl, REDIS_URL: redisUrl },
    log,
  );
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  await redis.flushall();
  await insertWaiting(pool, PROCESSED, { fromMs: -2_000, toMs: -1_000 });
  await pool.query('ANALYZE orders');
  const { rows } = await pool.query<{ order_id: string; due: string }>(
    `SELECT order_id, floor(extract(epoch FROM due_at) * 1000)::text AS due FROM orders WHERE status = 'CREATED'`,
  );
  await wiring.queue.setState('running');
  await wiring.queue.schedule(
    rows.map((row) => ({ orderId: row.order_id as OrderId, dueAt: Number(row.due) })),
  );
  const watched = watch(wiring.bus);
  const dispatching = startDispatcher(wiring, watched, log);
  await until(() => watched.published === rows.length);
  await dispatching.stop();

  let completed = 0;
  const meter: Wiring['meter'] = {
    ...wiring.meter,
    count(metric, by, labels) {
      if (metric === 'events_consumed' && labels?.consumer === 'processing-service.complete') completed += by;
    },
  };
  const measured = { ...wiring, meter };
  const started = performance.now();
  const running = await run([processingService(measured)], measured);
  await until(() => completed >= PROCESSED);
  const seconds = (performance.now() - started) / 1000;
  await running.stop();
  const unfinished = await pool.query(`SELECT count(*)::int AS n FROM orders WHERE status <> 'COMPLETED'`);
  await pool.end();
  if (unfinished.rows[0].n > 0) throw new Error(`${unfinished.rows[0].n} orders are not COMPLETED`);
  return PROCESSED / seconds;
}

await installPeers();
await withServers(async (servers) => {
  const queue = await measureQueue(servers, BURST);

  const peers = await servers.newDatabase('peers');
  const bullmq: number[] = [];
  const graphile: number[] = [];
  const drains: number[] = [];
  const config = {
    ...readConfig({ DISPATCH_LEASE_MS: String(LEASE_MS) }),
    DATABASE_URL: servers.databaseUrl,
    REDIS_URL: servers.redisUrl,
  };
  const wiring = await wire(config, log);
  const redis = new Redis(servers.redisUrl);
  const pool = new pg.Pool({ connectionString: servers.databaseUrl, max: 2 });
  try {
    await measureDrain(wiring, redis, pool);
    for (let round = 0; round < DRAIN_ROUNDS; round++) {
      drains.push(await measureDrain(wiring, redis, pool));
      bullmq.push(await runPeer('bullmq', 'drain', servers.redisUrl, PEER_JOBS));
      graphile.push(await runPeer('graphile-worker', 'drain', peers, PEER_JOBS));
    }
    const slowest = await slowestCall(redis, () => measureDrain(wiring, redis, pool));
    const burst = await measureLateness(wiring, redis, BURST, 1);
    const steady = await measureLateness(wiring, redis, STEADY_RATE * STEADY_S, STEADY_S);
    const idle = await measureIdle(wiring, redis);
    const processing = await measureProcessing(servers, redis);

    const toRaw = median(queue.ours.map((rate, n) => rate / (queue.raw[n] ?? Number.NaN)));
    const fastest = bullmq.map((rate, n) => Math.max(rate, graphile[n] ?? 0));
    const toPeer = median(drains.map((rate, n) => rate / (fastest[n] ?? Number.NaN)));
    const early = burst.early + steady.early;
    const [p50, p99] = [percentile(steady.lateness, 0.5), percentile(steady.lateness, 0.99)];
    const rows: Row[] = [
      { what: 'bare Lua claim and bare ZREM, 1,000 a call', figure: perSecond(median(queue.raw)) },
      {
        what: 'claim and acknowledge, 1,000 a call; ratio to bare',
        figure: perSecond(median(queue.ours)),
        ratio: toRaw,
        target: atLeast(toRaw, 0.8),
      },
      { what: `BullMQ ${peerVersion('bullmq')} drain, no-op handler`, figure: perSecond(median(bullmq)) },
      {
        what: `graphile-worker ${peerVersion('graphile-worker')} drain, no-op handler`,
        figure: perSecond(median(graphile)),
      },
      {
        what: 'published to the stream and acknowledged; ratio to the faster peer',
        figure: perSecond(median(drains)),
        ratio: toPeer,
        target: atLeast(toPeer, 2),
      },
      {
        what: 'slowest Redis call of a drain',
        figure: `${slowest.ms.toFixed(2)} ms (${slowest.name}); p99 ${slowest.p99Ms.toFixed(2)} ms`,
        target: atMost(slowest.ms, 10, ' ms'),
      },
      {
        what: `lateness of ${whole(BURST)} due in one second, p50 / p99 / max`,
        figure: `${spread(burst.lateness)} ms`,
      },
      {
        what: `lateness at ${STEADY_RATE}/s for ${STEADY_S} s, p50 / p99 / max`,
        figure: `${spread(steady.lateness)} ms`,
        target: { text: 'p50 ≤ 2 ms, p99 ≤ 10 ms', met: p50 <= 2 && p99 <= 10 },
      },
      { what: 'orders that left early', figure: whole(early), target: atMost(early, 0) },
      { what: 'polls while no order is due soon', figure: perSecond(idle), target: atMost(idle, 1.2, '/s') },
      {
        what: 'from order.ready to COMPLETED',
        figure: perSecond(processing, 'orders'),
        target: atLeast(processing, 5_000, '/s'),
      },
    ];
    printTable(rows);
    console.log(
      `\n${whole(BURST)} orders a burst, ${whole(PEER_JOBS)} jobs for each peer; alternating rounds, medians. Redis's latency monitor in the drain: ${slowest.events}.`,
    );
    console.log(await machineLine(servers.databaseUrl, servers.redisUrl));
  } finally {
    await wiring.close();
    await pool.end();
    redis.disconnect();
  }
});
