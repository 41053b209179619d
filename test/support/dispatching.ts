/** A dispatcher with a queue, a bus and a database in memory. */
import type { Order } from '../../internal/domain/order.ts';
import { type DispatchDeps, dispatcher } from '../../internal/service/scheduling/dispatch-due.ts';
import { placedOrder } from './builders.ts';
import { memoryStore } from './in-memory.ts';
import { memoryQueue } from './in-memory-queue.ts';
import { manualClock, NOON } from './manual-clock.ts';
import { recordingLog, recordingMeter } from './recording-log.ts';
import { gate } from './turns.ts';

export const LEASE_MS = 5_000;
export const INTERVAL_MS = 1_000;

export function dispatching({ shards = 1, changes = {} as Partial<DispatchDeps> } = {}) {
  const clock = manualClock();
  const store = memoryStore();
  const queue = memoryQueue(clock, { shards, leaseMs: LEASE_MS });
  const log = recordingLog();
  const meter = recordingMeter();
  let lost = 0;
  let wakes = 0;
  const deps: DispatchDeps = {
    queue,
    bus: store.bus,
    orderSchedule: store.orderSchedule,
    clock,
    log,
    meter,
    eventIdFor: (name) => `event of ${name}`,
    onLost: () => {
      lost += 1;
    },
    wake: () => {
      wakes += 1;
    },
    ...changes,
  };
  const it = dispatcher(deps, { intervalMs: INTERVAL_MS });
  return {
    ...it,
    deps,
    clock,
    store,
    queue,
    log,
    meter,
    lost: () => lost,
    wakes: () => wakes,
    /** Adds orders to the database and the queue. */
    async wait(...orders: Order[]) {
      store.seed(...orders);
      await queue.schedule(orders.map(({ id, dueAt }) => ({ orderId: id, dueAt })));
    },
    /** Runs a pass and waits until its claims are published. */
    async pass() {
      const sleep = await it.runOnce();
      await it.drain();
      return sleep;
    },
    waiting: async () => (await queue.size()).waiting,
    sent: () => store.bus.events.map(({ eventId }) => eventId),
  };
}

export const due = (id: string, dueAt = NOON) =>
  placedOrder({ content: { id }, scheduledAt: dueAt, at: NOON - 9_000 });

/** A bus whose `publish` waits until the test calls `end` or `fail`. */
export function heldBus(store = memoryStore()) {
  const calls: { ids: string[]; end: () => void; fail: (error: unknown) => void }[] = [];
  return {
    calls,
    bus: {
      ...store.bus,
      async publish(events: Parameters<typeof store.bus.publish>[0]) {
        const held = gate();
        calls.push({ ids: events.map(({ orderId }) => orderId), end: () => held.open(), fail: held.fail });
        await held.promise;
      },
    },
  };
}
