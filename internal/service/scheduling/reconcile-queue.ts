/** A reconciler is responsible for adding to the due queue what Postgres knows and Redis does not. */
import { type Deadlines, deadlineOf } from '../../domain/deadlines.ts';
import type { Clock, Log, Meter } from '../ports.ts';
import type { DueQueue, OrderSchedule, SchedulerSwitch, Timers, Waiting } from './ports.ts';

/** What is due within the next minute is brought back first, and then dispatching goes on. */
const FIRST_MS = 60_000;
/** A round in between looks this far ahead; an order that is due later is looked at by a later round. */
const AHEAD_MS = 600_000;
/** A round in between looks back past the last one by this much, for orders whose events were still under way. */
const OVERLAP_MS = 60_000;
const ROUND_MS = 60_000;

export interface ReconcileDeps {
  readonly orderSchedule: OrderSchedule;
  readonly queue: DueQueue;
  readonly timers: Pick<Timers, 'waiting'>;
  readonly deadlines: Deadlines;
  readonly schedulerSwitch: SchedulerSwitch;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  /** Told that orders were added, so that the dispatch loop looks for itself. */
  readonly onAdded: () => void;
}

export interface Reconciler {
  /** At first, and when the queue was lost, adds everything that is missing; in between, what is due soon. Returns the milliseconds to sleep. */
  runOnce(): Promise<number>;
  /** Says that the queue's data is gone; true where that is news. */
  lost(): boolean;
}

export function reconciler(deps: ReconcileDeps): Reconciler {
  const { clock, log, orderSchedule, queue, schedulerSwitch, timers } = deps;
  let complete = false;
  /** Until the state is set anew every pass of the dispatcher finds the queue lost; that is not news. */
  let restoring = true;
  let checkedUpTo = 0;

  async function addMissing(from: number, to: number): Promise<number> {
    let added = 0;
    for await (const page of orderSchedule.waiting({ from, to })) {
      added += await queue.schedule(page, { onlyMissing: true });
    }
    for await (const page of timers.waiting({ from, to })) {
      added += await queue.schedule(page, { onlyMissing: true });
    }
    if (added > 0) {
      deps.meter.count('orders_rebuilt', added);
      deps.onAdded();
    }
    return added;
  }

  /** Deadlines are lost only with all else, so only a rebuild looks for them. */
  async function addDeadlines(): Promise<void> {
    for await (const page of orderSchedule.inFlight()) {
      const waiting = page.flatMap((order): Waiting[] => {
        const deadline = deadlineOf(order, deps.deadlines);
        return deadline ? [{ orderId: order.id, kind: 'deadline', dueAt: deadline.dueAt }] : [];
      });
      await queue.schedule(waiting, { onlyMissing: true });
    }
  }

  /** The switch in Postgres is the truth; looked at again, should somebody have used it meanwhile. */
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
    restoring = true;
    const isStillThere = await queue.mark();
    const dueSoon = await addMissing(0, started + FIRST_MS);
    complete = true;
    await restoreState({ ifComplete: false });
    restoring = false;
    if (!(await isStillThere())) {
      lost();
      return;
    }
    deps.onAdded();
    const dueSoonMs = clock.now() - started;
    await addDeadlines();
    const later = await addMissing(started + FIRST_MS, Number.POSITIVE_INFINITY);
    checkedUpTo = started;
    log.info(
      { added: dueSoon + later, dueSoon, dueSoonMs, ms: clock.now() - started },
      'the schedule is complete',
    );
  }

  async function reconcile(): Promise<void> {
    const now = clock.now();
    const added = await addMissing(checkedUpTo - OVERLAP_MS, now + AHEAD_MS);
    await restoreState({ ifComplete: true });
    checkedUpTo = now;
    if (added > 0) log.warn({ added }, 'orders were missing from the schedule and have been added');
  }

  return {
    async runOnce() {
      if (complete) await reconcile();
      else
        await rebuild().catch((error) => {
          complete = false;
          throw error;
        });
      return complete ? ROUND_MS : 0;
    },
    lost,
  };
}
