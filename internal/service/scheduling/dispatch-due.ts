/** A dispatcher is responsible for sending each order to order.ready at its time, from the due queue. */

import { fact } from '../../domain/announce.ts';
import { isTransient } from '../../domain/errors.ts';
import type { Event, EventOf } from '../../domain/events.ts';
import { backoffMs } from '../../domain/retry.ts';
import { scheduleName, toRfc3339 } from '../../domain/schedule.ts';
import type { Log, Meter } from '../ports.ts';
import type { EventBus } from '../stream/ports.ts';
import { type DispatchReport, dispatchReport } from './dispatch-report.ts';
import type { Claim, DueQueue, OrderSchedule, ScheduleState, Waiting } from './ports.ts';

/** Orders that one pass takes from one shard, at most; keeps the script, and so every Redis call, around a millisecond. */
const CLAIM_LIMIT = 1_000;
/** No pass begins while so many claims are not yet published: when the stream stalls, the backlog stays in Redis. */
const MAX_UNDER_WAY = 4;
const SHORTEST_SLEEP_MS = 2;

export interface DispatchDeps {
  readonly queue: DueQueue;
  readonly bus: EventBus;
  readonly orderSchedule: OrderSchedule;
  readonly log: Log;
  readonly meter: Meter;
  /** Derives an event id from a name: the same name, the same id. */
  readonly eventIdFor: (name: string) => string;
  /** Called when the queue's data is gone. */
  readonly onLost: () => void;
  /** Has the next pass run at once, or right after the one under way. */
  readonly wake: () => void;
}

export interface Dispatcher {
  /** One pass over all shards, unless too much is under way; returns the milliseconds to sleep before the next. */
  runOnce(): Promise<number>;
  /**
   * Told of what was scheduled for a time (epoch ms, by Redis's clock), so as not to sleep past it. A pass that is under
   * way, and may have looked before it was there, takes it into account.
   */
  scheduled(dueAt: number): void;
  /** Resolves when what was claimed has been published and acknowledged, or has failed. */
  drain(): Promise<void>;
  readonly report: DispatchReport;
}

/** `intervalMs` is the longest sleep, in milliseconds. */
export function dispatcher(deps: DispatchDeps, options: { intervalMs: number }): Dispatcher {
  const { queue } = deps;
  const report = dispatchReport(deps);
  const underWay = new Set<Promise<void>>();
  let wakesAt = 0;
  let earliestMeanwhile = Number.POSITIVE_INFINITY;
  let failures = 0;
  /** Milliseconds to rest before the next pass, after a failure. */
  let rest = 0;

  async function send(claim: Claim, shard: number, repliedAt: number): Promise<void> {
    try {
      const { publish, moved } = await whatToPublish(deps, claim);
      const events: Event[] = publish.map((waiting) => orderReady(deps, waiting, claim.now));
      for (const timer of claim.timers) events.push(timerEvent(deps, timer, claim.now));
      if (events.length > 0) await deps.bus.publish(events);
      const publishedAt = claim.now + (performance.now() - repliedAt);
      await queue.acknowledge(shard, claim.lease);
      // What was moved once more meanwhile has kept its place, and keeps it.
      await queue.schedule(moved, { onlyMissing: true });
      report.published(publish, publishedAt);
      deps.meter.count('timers_dispatched', claim.timers.length);
      failures = 0;
    } catch (error) {
      // The leases run out by themselves and the orders become due again.
      failures += 1;
      rest = backoffMs(failures);
      report.failed(claim.due.length + claim.redelivered.length);
      const level = isTransient(error) ? 'warn' : 'error';
      if (failures === 1 || level === 'error')
        deps.log[level](
          { err: error, orders: claim.due.length },
          'orders could not be dispatched and are tried again',
        );
    }
  }

  async function pass(): Promise<Claim[]> {
    const claims = await Promise.all(
      Array.from({ length: queue.shards }, async (_, shard) => {
        const claim = await queue.claim(shard, CLAIM_LIMIT);
        if (claim.due.length + claim.redelivered.length + claim.timers.length > 0) {
          report.claimed(claim);
          const sending = send(claim, shard, performance.now()).finally(() => {
            const wasFull = underWay.size >= MAX_UNDER_WAY;
            underWay.delete(sending);
            if (wasFull || failures > 0) deps.wake();
          });
          underWay.add(sending);
        }
        return claim;
      }),
    );
    return claims;
  }

  return {
    report,
    async runOnce() {
      // One claim at a time, and rarely, until the stream takes orders again.
      if (underWay.size >= (failures > 0 ? 1 : MAX_UNDER_WAY)) return options.intervalMs;
      if (rest > 0) {
        const pause = rest;
        rest = 0;
        return pause;
      }
      earliestMeanwhile = Number.POSITIVE_INFINITY;
      const claims = await pass();
      const state = worst(claims.map((claim) => claim.state));
      report.state = state;
      if (state === 'lost') deps.onLost();
      if (claims.some((claim) => claim.full)) return 0;
      const now = Math.max(...claims.map((claim) => claim.now));
      const nextDueAt = Math.min(
        earliestMeanwhile,
        ...claims.map((claim) => claim.nextDueAt ?? Number.POSITIVE_INFINITY),
      );
      const sleep = Math.max(SHORTEST_SLEEP_MS, Math.min(options.intervalMs, Math.ceil(nextDueAt - now)));
      wakesAt = now + sleep;
      return sleep;
    },
    scheduled(dueAt) {
      earliestMeanwhile = Math.min(earliestMeanwhile, dueAt);
      if (dueAt < wakesAt) deps.wake();
    },
    async drain() {
      await Promise.all(underWay);
      await report.flush();
    },
  };
}

function worst(states: readonly ScheduleState[]): ScheduleState {
  return states.find((state) => state === 'lost') ?? states.find((state) => state === 'paused') ?? 'running';
}

/**
 * What was claimed for the first time was due at its score. What was claimed before has lost its due time to the lease,
 * so Postgres is asked: for what has been processed meanwhile nothing is left to do, and what was moved goes back.
 */
async function whatToPublish(
  { orderSchedule }: DispatchDeps,
  { due, redelivered, now }: Claim,
): Promise<{ publish: readonly Waiting[]; moved: readonly Waiting[] }> {
  if (redelivered.length === 0) return { publish: due, moved: [] };
  const waiting = await orderSchedule.stillWaiting(redelivered);
  return {
    publish: [...due, ...waiting.filter(({ dueAt }) => dueAt <= now)],
    moved: waiting.filter(({ dueAt }) => dueAt > now),
  };
}

/** What was claimed twice is announced under another time, so its owner may see it twice; it looks at its own rows. */
function timerEvent(
  { eventIdFor }: DispatchDeps,
  { orderId, kind, dueAt }: Claim['timers'][number],
  now: number,
): Event {
  const eventId = eventIdFor(`${kind}:${scheduleName(orderId, dueAt)}`);
  const payload = { dueAt: toRfc3339(dueAt) };
  return fact(`timer.${kind}`, orderId, payload, { eventId, at: now, producer: 'scheduler-worker' });
}

function orderReady(
  { eventIdFor }: DispatchDeps,
  { orderId, dueAt }: Waiting,
  at: number,
): EventOf<'order.ready'> {
  const payload = { dueAt: toRfc3339(dueAt), readyAt: toRfc3339(at) };
  const eventId = eventIdFor(scheduleName(orderId, dueAt));
  return fact('order.ready', orderId, payload, { eventId, at, producer: 'scheduler-worker' });
}
