/** Measures scheduling, memory per order and the rebuild of a lost queue, compared with raw Redis and the peers. */
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import pg from 'pg';
import { readConfig } from '../cmd/config.ts';
import { schedulerWorker } from '../cmd/services/scheduler-worker.ts';
import { wire } from '../cmd/wire.ts';
import type { OrderId } from '../internal/domain/order.ts';
import { redisDueQueue } from '../internal/repository/redis/due-queue.ts';
import type { Waiting } from '../internal/service/scheduling/ports.ts';
import { insertWaiting } from './orders.ts';
import { installPeers, runPeer } from './peers.ts';
import { median } from './percentiles.ts';
import { benchLog } from './quiet.ts';
import { type BenchServers, withServers } from './servers.ts';
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

const REBUILD = Number(process.argv[2] ?? 1_000_000);
const BATCH = 1_000;
/** Batches sent concurrently, as many as the peers send. */
const UNDER_WAY = 4;
const PER_ROUND = 100_000;
const ROUNDS = 7;
const PEER_JOBS = 50_000;
const PEER_ROUNDS = 3;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

interface ScheduleRates {
  readonly ours: number[];
  readonly raw: number[];
  /** Tiffin with several concurrent batches, as the peers are measured. */
  readonly together: number[];
}

/** Orders per second in each round, alternating: the due queue, bare ZADD, and the due queue with concurrent batches. */
async function measureSchedule({ redisUrl }: BenchServers): Promise<ScheduleRates> {
  const redis = new Redis(redisUrl);
  const queue = redisDueQueue(redis, { prefix: 'bench', shards: 1, leaseMs: 5_000 });
  const ours: number[] = [];
  const raw: number[] = [];
  const together: number[] = [];
  for (let round = -1; round < ROUNDS; round++) {
    const dueAt = Date.now() + 3_600_000;
    const batches = Array.from({ length: PER_ROUND / BATCH }, () =>
      Array.from(
        { length: BATCH },
        (_, n): Waiting => ({ orderId: randomUUID() as OrderId, dueAt: dueAt + n }),
      ),
    );
    const prepared = batches.map((batch) =>
      batch.flatMap(({ orderId, dueAt }) => [dueAt, `order:${orderId}`]),
    );
    await redis.flushall();
    const oursSeconds = await timed(async () => {
      for (const batch of batches) await queue.schedule(batch);
    });
    await redis.flushall();
    const rawSeconds = await timed(async () => {
      for (const members of prepared) await redis.zadd('bench:{s00}:due', ...members);
    });
    await redis.flushall();
    const togetherSeconds = await timed(async () => {
      const pending = batches.values();
      const sender = async () => {
        for (const batch of pending) await queue.schedule(batch);
      };
      await Promise.all(Array.from({ length: UNDER_WAY }, sender));
    });
    if (round < 0) continue;
    together.push(PER_ROUND / togetherSeconds);
    ours.push(PER_ROUND / oursSeconds);
    raw.push(PER_ROUND / rawSeconds);
  }
  await redis.flushall();
  redis.disconnect();
  return { ours, raw, together };
}

interface Rebuild {
  readonly atStartMs: number;
  /** This time and the next two count from FLUSHALL. */
  readonly noticedMs: number;
  readonly nextMinuteMs: number;
  readonly allMs: number;
  readonly nextMinute: number;
  readonly bytesEach: number;
  readonly bytesEachByKey: number;
  readonly isComplete: boolean;
}

/** Fills Postgres with waiting orders, lets the scheduler build its queue, flushes Redis, and times the rebuild. */
async function measureRebuild({ databaseUrl, redisUrl }: BenchServers): Promise<Rebuild> {
  const log = benchLog({ expect: /^the schedule was lost/ });
  const config = { ...readConfig({}), DATABASE_URL: databaseUrl, REDIS_URL: redisUrl };
  const wiring = await wire(config, log);
  const redis = new Redis(redisUrl);
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  const usedMemory = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
  const line = async (message: string, after: number) => {
    for (;;) {
      const found = log.lines.find(({ at, message: text }) => at > after && text.startsWith(message));
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const nextMinute = Math.round(REBUILD / 60);
  // The last sixtieth is inserted before the flush: due within the next minute, but not before the rebuild is done.
  await insertWaiting(pool, REBUILD - nextMinute, { fromMs: 120_000, toMs: 3_600_000 });
  await pool.query('VACUUM ANALYZE orders');

  const before = await usedMemory();
  const started = performance.now();
  const loops = schedulerWorker(wiring).loops?.() ?? [];
  try {
    await line('the schedule is complete', started);
    const atStartMs = performance.now() - started;
    const bytes = (await usedMemory()) - before;
    const key = 'tiffin:{s00}:due';
    const keyBytes = Number(await redis.memory('USAGE', key, 'SAMPLES', 0));
    const waiting = await redis.zcount(key, '-inf', '(9e15');

    await insertWaiting(pool, nextMinute, { fromMs: 30_000, toMs: 55_000 });
    await pool.query('ANALYZE orders');
    const flushedAt = performance.now();
    await redis.flushall();
    const lost = await line('the schedule was lost', flushedAt);
    const complete = await line('the schedule is complete', flushedAt);
    return {
      atStartMs,
      noticedMs: lost.at - flushedAt,
      nextMinuteMs: lost.at - flushedAt + Number(complete.fields.dueSoonMs),
      allMs: complete.at - flushedAt,
      nextMinute,
      bytesEach: bytes / waiting,
      bytesEachByKey: keyBytes / waiting,
      isComplete:
        (await redis.zcount(key, '-inf', '(9e15')) === REBUILD && complete.fields.dueSoon === nextMinute,
    };
  } finally {
    await Promise.all(loops.map((loop) => loop.stop()));
    await wiring.close();
    await pool.end();
    redis.disconnect();
  }
}

await installPeers();
await withServers(async (servers) => {
  const { ours, raw, together } = await measureSchedule(servers);
  const database = await servers.newDatabase('peers');
  const bullmq: number[] = [];
  const graphile: number[] = [];
  for (let round = 0; round < PEER_ROUNDS; round++) {
    bullmq.push(await runPeer('bullmq', 'enqueue', servers.redisUrl, PEER_JOBS));
    graphile.push(await runPeer('graphile-worker', 'enqueue', database, PEER_JOBS));
  }
  const rebuilt = await measureRebuild(servers);

  const toRaw = median(ours.map((rate, n) => rate / (raw[n] ?? Number.NaN)));
  const ourRate = median(ours);
  const togetherRate = median(together);
  const toGraphile = togetherRate / median(graphile);
  const toBullmq = togetherRate / median(bullmq);
  const rows: Row[] = [
    { what: 'raw variadic ZADD, 1,000 members a call', figure: perSecond(median(raw)) },
    {
      what: 'schedule, 1,000 a call; ratio to raw',
      figure: perSecond(ourRate),
      ratio: toRaw,
      target: atLeast(toRaw, 0.8),
    },
    { what: `schedule, ${UNDER_WAY} calls under way, as the peers below`, figure: perSecond(togetherRate) },
    {
      what: `graphile-worker ${peerVersion('graphile-worker')} addJobs; ratio ours to it`,
      figure: perSecond(median(graphile)),
      ratio: toGraphile,
      target: atLeast(toGraphile, 4),
    },
    {
      what: `BullMQ ${peerVersion('bullmq')} addBulk, delayed; ratio ours to it`,
      figure: perSecond(median(bullmq)),
      ratio: toBullmq,
    },
    {
      what: `bytes a waiting order (used_memory; key alone ${whole(rebuilt.bytesEachByKey)})`,
      figure: whole(rebuilt.bytesEach),
      target: atMost(rebuilt.bytesEach, 160),
    },
    { what: `built at start, ${whole(REBUILD)} waiting`, figure: `${whole(rebuilt.atStartMs / 1000)} s` },
    {
      what: `FLUSHALL: ${whole(rebuilt.nextMinute)} due in the next minute are back`,
      figure: `${whole(rebuilt.nextMinuteMs)} ms, noticed after ${whole(rebuilt.noticedMs)} ms`,
      target: atMost(rebuilt.nextMinuteMs, 1_000, ' ms'),
    },
    {
      what: 'FLUSHALL: all are back',
      figure: `${whole(rebuilt.allMs / 1000)} s${rebuilt.isComplete ? '' : ', INCOMPLETE'}`,
      target: { text: '≤ 15 s, complete', met: rebuilt.allMs <= 15_000 && rebuilt.isComplete },
    },
  ];
  printTable(rows);
  console.log(
    `\n${ROUNDS} alternating rounds of ${whole(PER_ROUND)}; peers ${PEER_ROUNDS} of ${whole(PEER_JOBS)}; medians. graphile-worker stores in Postgres durably, ours is the Redis part alone.`,
  );
  console.log(await machineLine(servers.databaseUrl, servers.redisUrl));
});
