/** A reconciler is responsible for adding orders and timers that are in Postgres and missing from the due queue. */
import { type Deadlines, deadlineOf } from '../../domain/deadlines.ts';
import type { Clock, Log, Meter } from '../ports.ts';
import type { DueQueue, OrderSchedule, SchedulerSwitch, Timers, Waiting } from './ports.ts';

/** A rebuild first adds members that are due within this time; then dispatching continues. */
const FIRST_MS = 60_000;
/** A regular round checks members that are due within this time; later rounds check the others. */
const AHEAD_MS = 600_000;
/** A regular round also checks members that became due up to this long before the last round. */
const OVERLAP_MS = 60_000;
const ROUND_MS = 60_000;
/**
 * When a member that was not found is looked for again. Until then its order may only just have been placed, or its timer
 * only just been set, and not have reached the queue yet.
 */
const SECOND_LOOK_MS = 10_000;

/**
 * A Redis that went back in time may hold an older due time. One that is too late is corrected. One that is too early is
 * not: its dispatch is refused and the member added anew, whereas a correction might undo a change that came meanwhile.
 */
const REBUILT = { onlyMissing: true, orEarlier: true };

export interface ReconcileDeps {
  readonly orderSchedule: OrderSchedule;
  readonly queue: DueQueue;
  readonly timers: Pick<Timers, 'waiting'>;
  readonly deadlines: Deadlines;
  readonly schedulerSwitch: SchedulerSwitch;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  /** Called after members were added, to wake the dispatch loop. */
  readonly onAdded: () => void;
}

export interface Reconciler {
  /**
   * The first round, and each after a loss, adds everything that is missing; a regular round adds what is due soon. Returns
   * the milliseconds to sleep.
   */
  runOnce(): Promise<number>;
  /** Reports that Redis has lost the queue, so that the next round rebuilds it; false if a rebuild is already pending. */
  lost(): boolean;
}

export function reconciler(deps: ReconcileDeps): Reconciler {
  const { clock, log, orderSchedule, queue, schedulerSwitch, timers } = deps;
  let complete = false;
  /** True until the state is set; until then every pass of the dispatcher finds the queue lost. */
  let restoring = true;
  let checkedUpTo = 0;
  /** What the first look of a round did not find; undefined between rounds. */
  let suspects: Set<string> | undefined;

  async function* members(from: number, to: number): AsyncIterable<Waiting[]> {
    yield* orderSchedule.waiting({ from, to });
    yield* timers.waiting({ from, to });
  }

  /** Adds the members that are due within the window and not in the queue; with `suspects` only those of them. */
  async function addMissing(from: number, to: number, { orEarlier } = { orEarlier: false }): Promise<number> {
    let added = 0;
    for await (const page of members(from, to)) {
      const lost = suspects ? await queue.missing(page.filter((one) => suspects?.has(nameOf(one)))) : page;
      added += await queue.schedule(lost, { onlyMissing: true, orEarlier });
    }
    if (added > 0) {
      deps.meter.count('orders_rebuilt', added);
      deps.onAdded();
    }
    return added;
  }

  /** Deadlines can be missing only if Redis has lost writes, so only a rebuild adds them. */
  async function addDeadlines(): Promise<void> {
    for await (const page of orderSchedule.inFlight()) {
      const waiting = page.flatMap((order): Waiting[] => {
        const deadline = deadlineOf(order, deps.deadlines);
        return deadline ? [{ orderId: order.id, kind: 'deadline', dueAt: deadline.dueAt }] : [];
      });
      await queue.schedule(waiting, REBUILT);
    }
  }

  /** Copies the pause switch from Postgres to Redis; repeated if the switch was changed during the copy. */
  async function restoreState(options: { ifComplete: boolean }): Promise<void> {
    let paused: boolean;
    do {
      paused = await schedulerSwitch.isPaused();
      await queue.setState(paused ? 'paused' : 'running', options);
    } while (paused !== (await schedulerSwitch.isPaused()));
  }

  function lost(): boolean {
    if (restoring || !complete) return false;
    log.warn({}, 'the schedule was lost; it is rebuilt from the database');
    complete = false;
    return true;
  }

  async function rebuild(): Promise<void> {
    const started = clock.now();
    suspects = undefined;
    restoring = true;
    const hasSurvived = await queue.mark();
    const dueSoon = await addMissing(0, started + FIRST_MS, REBUILT);
    complete = true;
    await restoreState({ ifComplete: false });
    restoring = false;
    if (!(await hasSurvived())) {
      lost();
      return;
    }
    deps.onAdded();
    const dueSoonMs = clock.now() - started;
    await addDeadlines();
    const later = await addMissing(started + FIRST_MS, Number.POSITIVE_INFINITY, REBUILT);
    checkedUpTo = started;
    log.info(
      { added: dueSoon + later, dueSoon, dueSoonMs, ms: clock.now() - started },
      'the schedule is complete',
    );
  }

  /**
   * Adds what two looks have not found. Members that were dispatched count as found: their orders stay CREATED in the
   * database, and their timers stay stored, until the consumers of their events have come that far.
   */
  async function reconcile(): Promise<number> {
    const now = clock.now();
    const [from, to] = [checkedUpTo - OVERLAP_MS, now + AHEAD_MS];
    if (!suspects) {
      const found = new Set<string>();
      for await (const page of members(from, to))
        for (const one of await queue.missing(page)) found.add(nameOf(one));
      suspects = found;
      if (found.size > 0) return SECOND_LOOK_MS;
    }
    const added = suspects.size > 0 ? await addMissing(from, to) : 0;
    suspects = undefined;
    await restoreState({ ifComplete: true });
    checkedUpTo = now;
    if (added > 0) log.warn({ added }, 'orders or timers were missing from the schedule and have been added');
    return ROUND_MS;
  }

  return {
    async runOnce() {
      if (complete) return reconcile();
      await rebuild().catch((error) => {
        complete = false;
        throw error;
      });
      return complete ? ROUND_MS : 0;
    },
    lost,
  };
}

function nameOf({ orderId, kind, dueAt }: Waiting): string {
  return `${kind ?? 'order'}:${orderId}@${dueAt}`;
}
