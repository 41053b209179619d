/** A dispatcher is responsible for publishing the order.ready event of each order, and the events of timers, at their due time. */
import { fact } from '../../domain/announce.ts';
import { isTransient } from '../../domain/errors.ts';
import type { Event, EventOf } from '../../domain/events.ts';
import { backoffAfter } from '../../domain/retry.ts';
import { scheduleName, toRfc3339 } from '../../domain/schedule.ts';
import type { Clock, Log, Meter } from '../ports.ts';
import type { EventBus } from '../stream/ports.ts';
import { type DispatchReport, dispatchReport } from './dispatch-report.ts';
import type { Claim, DueQueue, OrderSchedule, ScheduleState, Waiting } from './ports.ts';

/** The largest number of members that a pass claims from a shard; keeps the script, and so every Redis call, around a millisecond. */
const CLAIM_LIMIT = 1_000;
/** No pass starts while this many claims are unpublished, so the backlog of a stalled stream stays in Redis. */
const MAX_UNPUBLISHED = 4;
const SHORTEST_SLEEP_MS = 2;

export interface DispatchDeps {
  readonly queue: DueQueue;
  readonly bus: EventBus;
  readonly orderSchedule: OrderSchedule;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  /** Derives an event id from a name; the same name gives the same id. */
  readonly eventIdFor: (name: string) => string;
  /** Called when a pass finds that Redis has lost the queue. */
  readonly onLost: () => void;
  /** Wakes the loop that calls `runOnce`. */
  readonly wake: () => void;
}

/** A claim on its way to the stream. */
interface Sending {
  readonly claim: Claim;
  readonly shard: number;
  /** When Redis had answered, `performance.now`. */
  readonly repliedAt: number;
  /** When the stream had confirmed it, epoch ms by Redis's clock. */
  publishedAt?: number;
}

export interface Dispatcher {
  /** One pass over all shards, unless too many claims are unpublished; returns the milliseconds to sleep before the next. */
  runOnce(): Promise<number>;
  /**
   * Notifies the dispatcher of a new due time (epoch ms, by Redis's clock), so that it does not sleep past it. A running
   * pass, whose claim may have missed the new member, takes it into account too.
   */
  scheduled(dueAt: number): void;
  /** Resolves when all claims are published and acknowledged, or have failed. */
  drain(): Promise<void>;
  readonly report: DispatchReport;
}

/** `intervalMs` is the longest sleep, in milliseconds. */
export function dispatcher(deps: DispatchDeps, options: { intervalMs: number }): Dispatcher {
  const { queue } = deps;
  const report = dispatchReport(deps);
  const unpublished = new Set<Promise<void>>();
  /** Claims that failed and are sent again while their leases run, so that they need not run out after an outage. */
  let failed: Sending[] = [];
  let wakesAt = 0;
  /** The earliest due time of which `scheduled` was notified since the last pass started. */
  let earliestScheduled = Number.POSITIVE_INFINITY;
  let failures = 0;
  /** The backoff before the next pass after a failure, milliseconds. */
  let backoff = 0;

  async function send(sending: Sending): Promise<void> {
    const { claim, shard, repliedAt } = sending;
    try {
      const { publish, moved } = await splitClaim(deps, claim);
      if (sending.publishedAt === undefined) {
        const readyAt = toRfc3339(claim.now);
        const events: Event[] = publish.map((waiting) => orderReady(deps, waiting, claim.now, readyAt));
        for (const timer of claim.timers) events.push(timerEvent(deps, timer, claim.now));
        if (events.length > 0) await deps.bus.publish(events);
        sending.publishedAt = claim.now + (performance.now() - repliedAt);
      }
      await queue.acknowledge(shard, claim.lease, [...publish, ...claim.timers]);
      // `onlyMissing`: an order that was rescheduled once more since is in the queue with its newest time.
      await queue.schedule(moved, { onlyMissing: true });
      report.published(publish, sending.publishedAt);
      deps.meter.count('timers_dispatched', claim.timers.length);
      failures = 0;
    } catch (error) {
      failures += 1;
      backoff = backoffAfter(error, failures);
      const level = isTransient(error) ? 'warn' : 'error';
      if (level === 'warn') failed.push(sending);
      else report.failed(sizeOf(claim));
      if (failures === 1 || level === 'error')
        deps.log[level](
          { err: error, orders: claim.due.length },
          'orders could not be dispatched and are retried',
        );
    }
  }

  function start(sending: Sending): void {
    // The loop waits meanwhile, so it is woken to claim what else is due.
    const wasFailing = failures > 0;
    const sent = send(sending).finally(() => {
      const wasFull = unpublished.size >= MAX_UNPUBLISHED;
      unpublished.delete(sent);
      if (wasFull || wasFailing || failures > 0) deps.wake();
    });
    unpublished.add(sent);
  }

  /** Sends failed claims again; the members of those whose leases have run out are due once more. True if there were any. */
  function resend(): boolean {
    const all = failed;
    failed = [];
    const running = all.filter(({ claim }) => deps.clock.now() < Number(claim.lease));
    for (const sending of all) if (!running.includes(sending)) report.failed(sizeOf(sending.claim));
    for (const sending of running) start(sending);
    return running.length > 0;
  }

  async function pass(): Promise<Claim[]> {
    const claims = await Promise.all(
      Array.from({ length: queue.shards }, async (_, shard) => {
        const claim = await queue.claim(shard, CLAIM_LIMIT);
        if (sizeOf(claim) + claim.timers.length > 0) {
          report.claimed(claim);
          start({ claim, shard, repliedAt: performance.now() });
        }
        return claim;
      }),
    );
    return claims;
  }

  return {
    report,
    async runOnce() {
      // After a failure only one claim is published at a time, until one succeeds.
      if (unpublished.size >= (failures > 0 ? 1 : MAX_UNPUBLISHED)) return options.intervalMs;
      if (backoff > 0) {
        const pause = backoff;
        backoff = 0;
        return pause;
      }
      if (resend()) return options.intervalMs;
      earliestScheduled = Number.POSITIVE_INFINITY;
      const claims = await pass();
      const state = worst(claims.map((claim) => claim.state));
      report.state = state;
      if (state === 'lost') deps.onLost();
      if (claims.some((claim) => claim.full)) return 0;
      const now = Math.max(...claims.map((claim) => claim.now));
      const nextDueAt = Math.min(
        earliestScheduled,
        ...claims.map((claim) => claim.nextDueAt ?? Number.POSITIVE_INFINITY),
      );
      const sleep = Math.max(SHORTEST_SLEEP_MS, Math.min(options.intervalMs, Math.ceil(nextDueAt - now)));
      wakesAt = now + sleep;
      return sleep;
    },
    scheduled(dueAt) {
      earliestScheduled = Math.min(earliestScheduled, dueAt);
      if (dueAt < wakesAt) deps.wake();
    },
    async drain() {
      await Promise.all(unpublished);
      await report.flush();
    },
  };
}

function sizeOf({ due, redelivered }: Claim): number {
  return due.length + redelivered.length;
}

function worst(states: readonly ScheduleState[]): ScheduleState {
  return states.find((state) => state === 'lost') ?? states.find((state) => state === 'paused') ?? 'running';
}

/**
 * Splits a claim into orders to publish and rescheduled orders to put back. The score of a redelivered order is the end of
 * its expired lease, so its due time is read from Postgres; an order that has been processed since is in neither list.
 */
async function splitClaim(
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

/** A timer that was claimed twice has another due time, so two events; its consumer looks at its own rows and tolerates both. */
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
  readyAt: string,
): EventOf<'order.ready'> {
  const payload = { dueAt: toRfc3339(dueAt), readyAt };
  const eventId = eventIdFor(scheduleName(orderId, dueAt));
  return fact('order.ready', orderId, payload, { eventId, at, producer: 'scheduler-worker' });
}
