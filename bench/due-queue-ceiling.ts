/** Measures claiming and acknowledging alone: through the due queue, and through minimal Lua for comparison. */
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { OrderId } from '../internal/domain/order.ts';
import { redisDueQueue } from '../internal/repository/redis/due-queue.ts';
import type { Waiting } from '../internal/service/scheduling/ports.ts';
import type { BenchServers } from './servers.ts';

const BATCH = 1_000;
const ROUNDS = 5;
/** Longer than any drain of a benchmark, so that no order is claimed twice. */
export const LEASE_MS = 60_000;

/** Epoch milliseconds, with a fraction. */
export const wallClock = () => performance.timeOrigin + performance.now();

/** Orders due evenly over the second that begins `fromMs` from now. */
export function dueInOneSecond(count: number, fromMs: number): Waiting[] {
  const from = Math.round(wallClock() + fromMs);
  return Array.from({ length: count }, (_, n) => ({
    orderId: randomUUID() as OrderId,
    dueAt: from + Math.floor((n * 1_000) / count),
  }));
}

// Moves due members to the end of a lease. KEYS[1] set; ARGV[1] limit, ARGV[2] lease in ms; output members and scores.
const BARE_CLAIM = `
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
  if #due == 0 then return due end
  local lease, scored = now + ARGV[2], {}
  for i = 1, #due, 2 do
    scored[i] = lease
    scored[i + 1] = due[i]
  end
  redis.call('ZADD', KEYS[1], unpack(scored))
  return due`;

/** Orders claimed and acknowledged per second in each round, alternating between the due queue and the bare Lua. */
export async function measureQueue(
  { redisUrl }: BenchServers,
  burst: number,
): Promise<{ ours: number[]; raw: number[] }> {
  const redis = new Redis(redisUrl);
  const bareClaim = (await redis.script('LOAD', BARE_CLAIM)) as string;
  const queue = redisDueQueue(redis, { prefix: 'queue', shards: 1, leaseMs: LEASE_MS });
  const key = 'queue:{s00}:due';
  const ours: number[] = [];
  const raw: number[] = [];

  const claimOurs = async () => {
    let done = 0;
    for (;;) {
      const { lease, due } = await queue.claim(0, BATCH);
      if (due.length === 0) return done;
      await queue.acknowledge(0, lease);
      done += due.length;
    }
  };
  const claimBare = async () => {
    let done = 0;
    for (;;) {
      const due = (await redis.evalsha(bareClaim, 1, key, BATCH, LEASE_MS)) as string[];
      if (due.length === 0) return done;
      const members = due.filter((_, n) => n % 2 === 0);
      await redis.zrem(key, ...members);
      done += members.length;
    }
  };
  const round = async (claimAll: () => Promise<number>) => {
    await redis.flushall();
    await queue.setState('running');
    await queue.schedule(dueInOneSecond(burst, -2_000));
    const started = performance.now();
    const done = await claimAll();
    const seconds = (performance.now() - started) / 1000;
    if (done !== burst || (await redis.zcount(key, '-inf', '(9e15')) !== 0)
      throw new Error(`${done} of ${burst} orders were claimed`);
    return burst / seconds;
  };
  for (let n = -1; n < ROUNDS; n++) {
    const [oursRate, rawRate] = [await round(claimOurs), await round(claimBare)];
    if (n < 0) continue;
    ours.push(oursRate);
    raw.push(rawRate);
  }
  await redis.flushall();
  redis.disconnect();
  return { ours, raw };
}
