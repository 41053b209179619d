/** The dispatcher as the benchmarks run it, and what it publishes: how many orders, how late, and none early. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Wiring } from '../cmd/wire.ts';
import { startLoop } from '../internal/service/loop.ts';
import type { Log } from '../internal/service/ports.ts';
import { dispatcher } from '../internal/service/scheduling/dispatch-due.ts';
import type { EventBus } from '../internal/service/stream/ports.ts';
import { wallClock } from './due-queue-ceiling.ts';
import { silentMeter } from './quiet.ts';

export interface Watched {
  readonly bus: EventBus;
  /** Milliseconds from each order's due time until the stream has stored its event. */
  readonly lateness: number[];
  published: number;
  early: number;
}

/** Wraps the stream and records the lateness of each published order by this machine's clock. */
export function watch(bus: EventBus): Watched {
  const watched: Watched = {
    lateness: [],
    published: 0,
    early: 0,
    bus: {
      ...bus,
      async publish(events) {
        const calledAt = wallClock();
        await bus.publish(events);
        const storedAt = wallClock();
        watched.published += events.length;
        for (const event of events) {
          if (event.eventType !== 'order.ready') continue;
          const dueAt = Date.parse(event.payload.dueAt ?? '');
          if (calledAt < dueAt) watched.early += 1;
          watched.lateness.push(storedAt - dueAt);
        }
      },
    },
  };
  return watched;
}

/** The dispatcher in its loop, as the scheduler-worker runs it, without the reconciler. */
export function startDispatcher(wiring: Wiring, watched: Watched, log: Log) {
  const dispatching = dispatcher(
    { ...wiring, bus: watched.bus, meter: silentMeter, log, onLost: () => {}, wake: () => loop.wake() },
    { intervalMs: 1_000 },
  );
  const loop = startLoop('dispatch', () => dispatching.runOnce(), log);
  return {
    loop,
    async stop() {
      await loop.stop();
      await dispatching.drain();
    },
  };
}

export async function until(isSo: () => boolean | Promise<boolean>, everyMs = 1): Promise<void> {
  while (!(await isSo())) await pause(everyMs);
}
