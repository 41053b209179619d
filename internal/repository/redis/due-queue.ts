/** The due queue in Redis: one sorted set per shard holds waiting orders and timers, scored by due time in epoch ms. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis, Result } from 'ioredis';
import type { OrderId } from '../../domain/order.ts';
import type { TimerKind } from '../../domain/schedule.ts';
import type { Claim, DueQueue, ScheduleState, Waiting } from '../../service/scheduling/ports.ts';
import { asUnavailable } from './connection.ts';

/** Members per ZADD or ZREM; a call of this size takes one or two milliseconds. */
const COMMAND_BATCH = 1_000;
const ORDER = 'order:';
/** Expiry of a mark, for the case that its process was killed; no work under a mark takes this long. */
const MARK_MS = 86_400_000;

/** How long after its due time a sent member is remembered; longer than the reconciler looks back. */
const SENT_MS = 600_000;

/** A member of the sorted set: 'order' or the timer's kind, and the order id. */
function memberOf(orderId: OrderId, kind: TimerKind | undefined): string {
  return kind === undefined ? ORDER + orderId : `${kind}:${orderId}`;
}

const CLAIM = {
  lua: readFileSync(new URL('./claim.lua', import.meta.url), 'utf8'),
  numberOfKeys: 2,
};

type Command = [name: string, ...args: (string | number)[]];

declare module 'ioredis' {
  interface RedisCommander<Context> {
    /** claim.lua. */
    claimDue(dueKey: string, stateKey: string, limit: number, leaseMs: number): Result<string[], Context>;
  }
}

/**
 * `prefix` separates the keys of installations that share a Redis; `leaseMs` is the length of a claim, milliseconds. The
 * keys of one shard share a hash tag: in a Redis Cluster the shards are distributed, and each script runs on one node.
 */
export function redisDueQueue(
  redis: Redis,
  options: { prefix: string; shards: number; leaseMs: number },
): DueQueue {
  const { shards, leaseMs } = options;
  redis.defineCommand('claimDue', CLAIM);
  const tags = Array.from(
    { length: shards },
    (_, shard) => `${options.prefix}:{s${String(shard).padStart(2, '0')}}`,
  );
  const dueKey = (shard: number) => `${tags[shard]}:due`;
  /** Members that were sent, by the due time they were sent for. */
  const sentKey = (shard: number) => `${tags[shard]}:sent`;
  const stateKey = (shard: number) => `${tags[shard]}:state`;

  /** Groups entries by shard and runs the command on each batch, all in one round trip; resolves with the sum of replies. */
  async function perShard<T extends { orderId: OrderId }>(
    entries: readonly T[],
    command: (key: string, batch: T[]) => Command,
  ): Promise<number> {
    if (entries.length === 0) return 0;
    const groups: T[][] = tags.map(() => []);
    for (const entry of entries) groups[shardOf(entry.orderId, shards)]?.push(entry);
    const commands = groups.flatMap((group, shard) => {
      const batches = [];
      for (let i = 0; i < group.length; i += COMMAND_BATCH)
        batches.push(command(dueKey(shard), group.slice(i, i + COMMAND_BATCH)));
      return batches;
    });
    return (await runAll(commands)).reduce((sum, count) => sum + count, 0);
  }

  /** Runs commands that reply with an integer in one round trip; throws if one of them failed. */
  async function runAll(commands: Command[]): Promise<number[]> {
    const results = (await asUnavailable(redis.pipeline(commands).exec())) ?? [];
    for (const [error] of results) if (error) await asUnavailable(Promise.reject(error));
    return results.map(([, answer]) => Number(answer));
  }

  return {
    shards,
    schedule: (waiting, { onlyMissing } = { onlyMissing: false }) =>
      perShard(waiting, (key, batch) => {
        const args: (string | number)[] = [];
        for (const { orderId, dueAt, kind } of batch) args.push(dueAt, memberOf(orderId, kind));
        return onlyMissing ? ['zadd', key, 'NX', ...args] : ['zadd', key, ...args];
      }),
    async remove(ids, kind) {
      await perShard(
        ids.map((orderId) => ({ orderId })),
        (key, batch) => ['zrem', key, ...batch.map(({ orderId }) => memberOf(orderId, kind))],
      );
    },
    async claim(shard, limit) {
      const claimed = await asUnavailable(redis.claimDue(dueKey(shard), stateKey(shard), limit, leaseMs));
      return toClaim(claimed, limit);
    },
    async acknowledge(shard, lease, sent = []) {
      const scored = sent.flatMap(({ orderId, dueAt, kind }) => [dueAt, memberOf(orderId, kind)]);
      // Remembered before it is removed: whoever does not find a member in the queue then finds it among the sent ones.
      const remember: Command[] = [
        ['zadd', sentKey(shard), ...scored],
        ['zremrangebyscore', sentKey(shard), '-inf', Math.floor(Number(lease)) - leaseMs - SENT_MS],
      ];
      await runAll([...(sent.length > 0 ? remember : []), ['zremrangebyscore', dueKey(shard), lease, lease]]);
    },
    async missing(waiting) {
      const found = await Promise.all(
        tags.map(async (_, shard) => {
          const own = waiting.filter(({ orderId }) => shardOf(orderId, shards) === shard);
          if (own.length === 0) return [];
          const members = own.map(({ orderId, kind }) => memberOf(orderId, kind));
          const queued = await asUnavailable(redis.zmscore(dueKey(shard), members));
          const sent = await asUnavailable(redis.zmscore(sentKey(shard), members));
          return own.filter(({ dueAt }, index) => queued[index] === null && Number(sent[index]) !== dueAt);
        }),
      );
      return found.flat();
    },
    async setState(state, { ifComplete } = { ifComplete: false }) {
      const condition = ifComplete ? ['XX'] : [];
      await runAll(tags.map((_, shard) => ['set', stateKey(shard), state, ...condition]));
    },
    async mark() {
      const keys = tags.map((tag) => `${tag}:mark:${randomUUID()}`);
      await runAll(keys.map((key) => ['set', key, '', 'PX', MARK_MS]));
      return async () => (await runAll(keys.map((key) => ['del', key]))).every((deleted) => deleted === 1);
    },
    async size() {
      const [seconds, micros] = await asUnavailable(redis.time());
      const now = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
      const counts = await runAll([
        ...tags.map((_, shard) => ['zcard', dueKey(shard)] as [string, string]),
        ...tags.map((_, shard) => ['zcount', dueKey(shard), '-inf', now] as [string, string, string, number]),
      ]);
      const sum = (some: number[]) => some.reduce((a, b) => a + b, 0);
      return { waiting: sum(counts.slice(0, shards)), due: sum(counts.slice(shards)) };
    },
  };
}

function toClaim([state, now, lease, next, ...scored]: string[], limit: number): Claim {
  const due: Waiting[] = [];
  const redelivered: OrderId[] = [];
  const timers: Claim['timers'][number][] = [];
  for (let i = 0; i < scored.length; i += 2) {
    const member = scored[i] as string;
    const score = Number(scored[i + 1]);
    // An integer score is a due time; a score with a fraction is a lease that ran out.
    const isFirst = Number.isInteger(score);
    if (!member.startsWith(ORDER)) timers.push(toTimer(member, isFirst ? score : Number(now)));
    else if (isFirst) due.push({ orderId: member.slice(ORDER.length) as OrderId, dueAt: score });
    else redelivered.push(member.slice(ORDER.length) as OrderId);
  }
  return {
    state: state as ScheduleState,
    now: Number(now),
    lease: lease ?? '0',
    due,
    redelivered,
    timers,
    nextDueAt: next ? Number(next) : undefined,
    full: scored.length / 2 === limit,
  };
}

function toTimer(member: string, dueAt: number): Claim['timers'][number] {
  const end = member.indexOf(':');
  return { kind: member.slice(0, end) as TimerKind, orderId: member.slice(end + 1) as OrderId, dueAt };
}

/** The shard of an order: FNV-1a, 32 bits (Fowler, Noll, Vo), of its id. */
export function shardOf(orderId: string, shards: number): number {
  if (shards === 1) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < orderId.length; i++) hash = Math.imul(hash ^ orderId.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}
