/** Replaces the timers and the monotonic clock of Node by those of a simulation, while it runs. */
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';

export interface VirtualTime {
  /** Milliseconds. */
  now(): number;
  /** Calls `work` after that time; the returned function cancels it. */
  setTimer(ms: number, work: () => void): () => void;
}

/** Product code sleeps and measures by the time of the simulation until `run` has ended. Only one may run at a time. */
export async function withVirtualTime<T>(time: VirtualTime, run: () => Promise<T>): Promise<T> {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    pause: timers.setTimeout,
  };
  const setVirtual = (work: () => void, ms = 0) => {
    const cancel = time.setTimer(ms, work);
    const timer = { cancel, unref: () => timer, ref: () => timer };
    return timer;
  };
  globalThis.setTimeout = setVirtual as never;
  globalThis.clearTimeout = ((timer?: { cancel?: () => void }) => timer?.cancel?.()) as never;
  timers.setTimeout = ((ms: number, value: unknown) =>
    new Promise((resolve) => void time.setTimer(ms, () => resolve(value)))) as never;
  syncBuiltinESMExports();
  // The method is the prototype's; an own property hides it.
  Object.defineProperty(performance, 'now', { value: () => time.now(), configurable: true });
  try {
    return await run();
  } finally {
    globalThis.setTimeout = real.setTimeout;
    globalThis.clearTimeout = real.clearTimeout;
    timers.setTimeout = real.pause;
    syncBuiltinESMExports();
    delete (performance as { now?: unknown }).now;
  }
}
