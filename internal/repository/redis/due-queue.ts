/** The due queue in Redis: one sorted set per shard holds waiting orders and timers, scored by due time in epoch ms. */
import { Cluster, type Redis, type Result } from 'ioredis';
import type { OrderId } from '../../domain/order.ts';
import type { Clock } from '../../service/ports.ts';
import type { DueQueue, ScheduleState, Waiting } from '../../service/scheduling/ports.ts';
import { asUnavailable, SILENCE_MS, tagsOf } from './connection.ts';
import { memberOf, scoredMembers, toClaim } from './due-members.ts';
import { countingScript, knownWrites, type WriteReply } from './known-writes.ts';

/** Members per ZADD or ZREM; a call of this size takes one or two milliseconds. */
const COMMAND_BATCH = 1_000;
/** The scores from here on are no due times but marks: MARKS of count-write.lua. */
const MARKS = 9e15;

/** How long after its due time a sent member is remembered; longer than the reconciler looks back. */
const SENT_MS = 600_000;

const COUNT = countingScript('count.lua');
const SCRIPTS = {
  claimDue: countingScript('claim.lua'),
  scheduleEarlier: countingScript('schedule-earlier.lua'),
  countWrite: COUNT,
  beginGeneration: countingScript('begin-generation.lua'),
};

declare module 'ioredis' {
  interface RedisCommander<Context> {
    /** claim.lua. */
    claimDue(
      ...keysAndArguments: (string | number)[]
    ): Result<[WriteReply, state: ScheduleState, now: number, serverTime: number, ...string[]], Context>;
    /** begin-generation.lua. */
    beginGeneration(...keysAndArguments: (string | number)[]): Result<[WriteReply], Context>;
    /** count.lua. */
    countWrite(...keysAndArguments: (string | number)[]): Result<WriteReply, Context>;
    /** schedule-earlier.lua. */
    scheduleEarlier(
      ...keysAndArguments: (string | number)[]
    ): Result<[write: WriteReply, changed: number], Context>;
  }
}

/** 'missing': only members that are not in the queue; 'earlier': these, and those that wait for a later time. */
type Mode = 'all' | 'missing' | 'earlier';
type Command = [name: string, ...args: (string | number)[]];

/**
 * `prefix` separates the keys of installations that share a Redis; `leaseMs` is the length of a claim, milliseconds; `clock`
 * decides what is due in a cluster. The keys of one shard share a hash tag: in a Redis Cluster the shards are distributed, and
 * each script, pipeline and transaction runs on one node.
 */
export function redisDueQueue(
  redis: Redis | Cluster,
  options: { prefix: string; shards: number; leaseMs: number; clock?: Clock },
): DueQueue {
  const { shards, leaseMs } = options;
  /** The one clock of a cluster, whose nodes have several; undefined where the server's own decides. */
  const clock = redis instanceof Cluster ? options.clock : undefined;
  for (const [name, script] of Object.entries(SCRIPTS)) redis.defineCommand(name, script);
  const known = knownWrites(shards);
  const tags = tagsOf(options.prefix, shards);
  const dueKey = (shard: number) => `${tags[shard]}:due`;
  /** Members that were sent, by the due time they were sent for. */
  const sentKey = (shard: number) => `${tags[shard]}:sent`;
  const stateKey = (shard: number) => `${tags[shard]}:state`;
  /** The first arguments of every counting script. */
  const writing = (shard: number) => [dueKey(shard), stateKey(shard), ...known.of(shard)];

  /** The clock of each shard's server minus `performance.now`, by its last answer. */
  const aheadMs: number[] = [];
  /** Until when a server may run a claim that is sent now, by its own clock; '' if that is unknown. */
  const latestClaim = (shard: number) =>
    aheadMs[shard] === undefined ? '' : performance.now() + aheadMs[shard] + SILENCE_MS;

  /** Groups entries by shard, in batches. */
  function batchesOf<T extends { orderId: OrderId }>(entries: readonly T[]): [shard: number, batch: T[]][] {
    const groups: T[][] = tags.map(() => []);
    for (const entry of entries) groups[shardOf(entry.orderId, shards)]?.push(entry);
    return groups.flatMap((group, shard) => {
      const batches: [number, T[]][] = [];
      for (let i = 0; i < group.length; i += COMMAND_BATCH)
        batches.push([shard, group.slice(i, i + COMMAND_BATCH)]);
      return batches;
    });
  }

  /** Adds or moves the members of one shard; returns how many. */
  async function scheduleShard(shard: number, batch: readonly Waiting[], mode: Mode): Promise<number> {
    const members = scoredMembers(batch);
    if (mode === 'earlier') {
      const [write, changed] = await asUnavailable(redis.scheduleEarlier(...writing(shard), ...members));
      known.learn(shard, write);
      return changed;
    }
    // One transaction, since a count that is acknowledged without its ZADD would hide the loss of that ZADD. EVAL, since
    // ioredis does not send a script again that the server has forgotten when it runs in a transaction.
    const [added, write] = await inTransaction<[number, WriteReply]>([
      mode === 'missing' ? ['zadd', dueKey(shard), 'NX', ...members] : ['zadd', dueKey(shard), ...members],
      ['eval', COUNT.lua, COUNT.numberOfKeys, ...writing(shard)],
    ]);
    known.learn(shard, write);
    return added;
  }

  /** Runs commands on the keys of one shard, all or none; throws if one of them failed. */
  async function inTransaction<Replies extends unknown[]>(commands: Command[]): Promise<Replies> {
    const results = await asUnavailable(redis.multi(commands).exec().catch(throwCause));
    for (const [error] of results ?? []) if (error) await asUnavailable(Promise.reject(error));
    return (results ?? []).map(([, reply]) => reply) as Replies;
  }

  return {
    shards,
    async schedule(waiting, { onlyMissing, orEarlier } = { onlyMissing: false }) {
      const mode = orEarlier ? 'earlier' : onlyMissing ? 'missing' : 'all';
      const counts = await Promise.all(
        batchesOf(waiting).map(([shard, batch]) => scheduleShard(shard, batch, mode)),
      );
      return counts.reduce((sum, count) => sum + count, 0);
    },
    async remove(ids, kind) {
      const batches = batchesOf(ids.map((orderId) => ({ orderId })));
      await Promise.all(
        batches.map(([shard, batch]) => {
          const members = batch.map(({ orderId }) => memberOf(orderId, kind));
          return asUnavailable(redis.zrem(dueKey(shard), ...members));
        }),
      );
    },
    async claim(shard, limit) {
      const [write, state, now, serverTime, ...claimed] = await asUnavailable(
        redis.claimDue(...writing(shard), limit, leaseMs, latestClaim(shard), clock?.now() ?? ''),
      );
      known.learn(shard, write);
      aheadMs[shard] = serverTime - performance.now();
      return toClaim(state, now, claimed, limit);
    },
    async acknowledge(shard, lease, sent = []) {
      // Remembered before it is removed: whoever does not find a member in the queue then finds it among the sent ones.
      const remember: Command[] = [
        ['zadd', sentKey(shard), ...scoredMembers(sent)],
        ['zremrangebyscore', sentKey(shard), '-inf', Math.floor(Number(lease)) - leaseMs - SENT_MS],
      ];
      const acknowledge: Command = ['zremrangebyscore', dueKey(shard), lease, lease];
      await inTransaction([...(sent.length > 0 ? remember : []), acknowledge]);
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
      await everyShard(async (shard) => {
        if (ifComplete) return redis.set(stateKey(shard), state, 'XX');
        const [write] = await redis.beginGeneration(...writing(shard), state, known.greatest(shard));
        return known.learn(shard, write);
      });
    },
    async mark() {
      await countWrites();
      const before = known.losses();
      return async () => {
        await countWrites();
        return known.losses() === before;
      };
    },
    async size() {
      const now = clock?.now() ?? (await timeOfServer());
      const count = (end: string | number) => everyShard((shard) => redis.zcount(dueKey(shard), '-inf', end));
      const [waiting, due] = await Promise.all([count(`(${MARKS}`), count(now)]);
      const sum = (some: number[]) => some.reduce((a, b) => a + b, 0);
      return { waiting: sum(waiting), due: sum(due) };
    },
  };

  /** A write to each shard that changes nothing else, to see whether earlier ones are still there. */
  async function countWrites(): Promise<void> {
    await everyShard(async (shard) => known.learn(shard, await redis.countWrite(...writing(shard))));
  }

  /** Each shard has a command of its own: in a cluster no pipeline may hold commands for several nodes. */
  function everyShard<T>(ask: (shard: number) => Promise<T>): Promise<T[]> {
    return Promise.all(tags.map((_, shard) => asUnavailable(ask(shard))));
  }

  async function timeOfServer(): Promise<number> {
    const [seconds, micros] = await asUnavailable(redis.time());
    return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  }
}

/** A transaction that is refused says only that a command was; the command's own error says why. */
function throwCause(error: Error & { previousErrors?: Error[] }): never {
  throw error.previousErrors?.[0] ?? error;
}

/** The shard of an order: FNV-1a, 32 bits (Fowler, Noll, Vo), of its id. */
export function shardOf(orderId: string, shards: number): number {
  if (shards === 1) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < orderId.length; i++) hash = Math.imul(hash ^ orderId.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}
