/** Replaces the timers and the monotonic clock of Node by those of a simulation, while it runs. */
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';

export interface VirtualTime {
  /** Milliseconds. */
  now(): number;
  /** Calls `work` after that time; the returned function cancels it. */
  setTimer(ms: number, work: () => void): () => void;
}

/** The time of the run that is under way. */
let virtual: VirtualTime | undefined;
let isInstalled = false;

/** Product code sleeps and measures by the time of the simulation until `run` has ended. Only one may run at a time. */
export async function withVirtualTime<T>(time: VirtualTime, run: () => Promise<T>): Promise<T> {
  if (!isInstalled) install();
  virtual = time;
  try {
    return await run();
  } finally {
    virtual = undefined;
  }
}

/** Once, since telling all modules takes a few milliseconds. Between runs the timers and the clock are the real ones. */
function install(): void {
  isInstalled = true;
  const { setTimeout: setReal, clearTimeout: clearReal } = globalThis;
  const pauseReal = timers.setTimeout;
  const nowReal = performance.now.bind(performance);
  const setVirtual = (work: () => void, ms = 0, ...args: []) => {
    if (!virtual) return setReal(work, ms, ...args);
    const cancel = virtual.setTimer(ms, work);
    const timer = { cancel, unref: () => timer, ref: () => timer };
    return timer;
  };
  const clearVirtual = (timer?: { cancel?: () => void }) =>
    timer?.cancel ? timer.cancel() : clearReal(timer as never);
  const pauseVirtual = (ms: number, value: unknown, ...options: []) =>
    virtual
      ? new Promise((resolve) => void virtual?.setTimer(ms, () => resolve(value)))
      : pauseReal(ms, value, ...options);
  globalThis.setTimeout = setVirtual as never;
  globalThis.clearTimeout = clearVirtual as never;
  timers.setTimeout = pauseVirtual as never;
  syncBuiltinESMExports();
  // The method is the prototype's; an own property hides it.
  Object.defineProperty(performance, 'now', { value: () => virtual?.now() ?? nowReal() });
}
