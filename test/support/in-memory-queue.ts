/** The due queue in memory, on a manual clock. */
import type { OrderId } from '../../internal/domain/order.ts';
import type { TimerKind } from '../../internal/domain/schedule.ts';
import type { Clock } from '../../internal/service/ports.ts';
import type { Claim, DueQueue, ScheduleState } from '../../internal/service/scheduling/ports.ts';

export interface MemoryQueue extends DueQueue {
  /** Removes all members, as FLUSHALL does; the state is then `lost`. */
  flush(): void;
  /** The score of an order: its due time, or the end of its lease if the number has a fraction. */
  scoreOf(orderId: OrderId, kind?: TimerKind): number | undefined;
}

const memberOf = (orderId: string, kind?: TimerKind) => `${kind ?? 'order'}:${orderId}`;
const orderOf = (member: string) => member.slice(member.indexOf(':') + 1) as OrderId;
const isOrder = (member: string) => member.startsWith('order:');

export function memoryQueue(
  clock: Clock,
  { shards = 1, leaseMs = 5_000, state = 'running' as ScheduleState } = {},
): MemoryQueue {
  const scores = Array.from({ length: shards }, () => new Map<string, number>());
  const sent = new Map<string, number>();
  let flushes = 0;
  let states: ScheduleState[] = new Array(shards).fill(state);
  const shardOf = (id: OrderId) => {
    const sum = [...id].reduce((total, letter) => total + letter.charCodeAt(0), 0);
    return scores[sum % shards] as Map<string, number>;
  };

  return {
    shards,
    async schedule(waiting, { onlyMissing, orEarlier } = { onlyMissing: false }) {
      let added = 0;
      for (const { orderId, dueAt, kind } of waiting) {
        const shard = shardOf(orderId);
        const member = memberOf(orderId, kind);
        const score = shard.get(member);
        const isLater = score !== undefined && Number.isInteger(score) && score > dueAt;
        if (score === undefined || (orEarlier && isLater)) added += 1;
        else if (onlyMissing) continue;
        shard.set(member, dueAt);
      }
      return added;
    },
    async remove(ids, kind) {
      for (const id of ids) shardOf(id).delete(memberOf(id, kind));
    },
    async claim(shard, limit): Promise<Claim> {
      const now = clock.now();
      const state = states[shard] as ScheduleState;
      const waiting = scores[shard] as Map<string, number>;
      const nothing = {
        state,
        now,
        lease: '0',
        due: [],
        redelivered: [],
        timers: [],
        nextDueAt: undefined,
        full: false,
      };
      if (state !== 'running') return nothing;
      let lease = now + leaseMs + 0.5;
      while ([...waiting.values()].includes(lease)) lease += 1 / 1024;
      const claimed = [...waiting]
        .filter(([, score]) => score <= now)
        .sort(([, a], [, b]) => a - b)
        .slice(0, limit);
      for (const [id] of claimed) waiting.set(id, lease);
      return {
        ...nothing,
        lease: String(lease),
        due: claimed
          .filter(([member, score]) => isOrder(member) && Number.isInteger(score))
          .map(([member, dueAt]) => ({ orderId: orderOf(member), dueAt })),
        redelivered: claimed
          .filter(([member, score]) => isOrder(member) && !Number.isInteger(score))
          .map(([member]) => orderOf(member)),
        timers: claimed
          .filter(([member]) => !isOrder(member))
          .map(([member, score]) => ({
            orderId: orderOf(member),
            kind: member.slice(0, member.indexOf(':')) as TimerKind,
            dueAt: Number.isInteger(score) ? score : now,
          })),
        nextDueAt: waiting.size > 0 ? Math.min(...waiting.values()) : undefined,
        full: claimed.length === limit,
      };
    },
    async acknowledge(shard, lease, members = []) {
      for (const { orderId, kind, dueAt } of members) sent.set(memberOf(orderId, kind), dueAt);
      const waiting = scores[shard] as Map<string, number>;
      for (const [id, score] of waiting) if (score === Number(lease)) waiting.delete(id);
    },
    async missing(waiting) {
      return waiting.filter(({ orderId, kind, dueAt }) => {
        const member = memberOf(orderId, kind);
        return !shardOf(orderId).has(member) && sent.get(member) !== dueAt;
      });
    },
    async setState(state, { ifComplete } = { ifComplete: false }) {
      states = states.map((old) => (ifComplete && old === 'lost' ? 'lost' : state));
    },
    async mark() {
      const before = flushes;
      return async () => flushes === before;
    },
    async size() {
      const all = scores.flatMap((shard) => [...shard.values()]);
      return { waiting: all.length, due: all.filter((score) => score <= clock.now()).length };
    },
    flush() {
      flushes += 1;
      for (const shard of scores) shard.clear();
      sent.clear();
      states = states.map(() => 'lost');
    },
    scoreOf: (orderId, kind) => shardOf(orderId).get(memberOf(orderId, kind)),
  };
}
