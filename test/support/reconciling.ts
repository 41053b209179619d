/** A reconciler over a queue and a store in memory, for tests. */
import type { OrderId } from '../../internal/domain/order.ts';
import type { Timer } from '../../internal/service/scheduling/ports.ts';
import { type ReconcileDeps, reconciler } from '../../internal/service/scheduling/reconcile-queue.ts';
import { CONTENTS, DEADLINES, movedTo, placedOrder } from './builders.ts';
import { memoryStore } from './in-memory.ts';
import { memoryQueue } from './in-memory-queue.ts';
import { manualClock, NOON } from './manual-clock.ts';
import { recordingLog, recordingMeter } from './recording-log.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

export function reconciling(changes: Partial<ReconcileDeps> = {}) {
  const clock = manualClock();
  const store = memoryStore();
  const queue = memoryQueue(clock, { state: 'lost' });
  const log = recordingLog();
  const meter = recordingMeter();
  let wakes = 0;
  const deps: ReconcileDeps = {
    orderSchedule: store.orderSchedule,
    queue,
    timers: { async *waiting() {} },
    deadlines: DEADLINES,
    schedulerSwitch: store.schedulerSwitch,
    clock,
    log,
    meter,
    onAdded: () => {
      wakes += 1;
    },
    ...changes,
  };
  return {
    ...reconciler(deps),
    clock,
    store,
    queue,
    log,
    meter,
    wakes: () => wakes,
    score: (id: string) => queue.scoreOf(id as OrderId),
    state: async () => (await queue.claim(0, 0)).state,
    size: async () => (await queue.size()).waiting,
  };
}

export const order = (id: string, dueAt: number) =>
  placedOrder({ content: { id }, scheduledAt: dueAt, at: NOON - 9 * HOUR });

/** Stored timers; tests change the list `stored`. */
export function storedTimers(...stored: Timer[]) {
  return {
    stored,
    async *waiting({ from, to }: { from: number; to: number }) {
      const page = stored.filter(({ dueAt }) => dueAt >= from && dueAt < to);
      if (page.length > 0) yield page;
    },
  };
}
export const started = (id: string) =>
  movedTo(placedOrder({ content: { ...CONTENTS.items, id } }), 'PROCESSING');
