/** Runs background loops. Only this runner sleeps; tests call the loops' `runOnce` functions directly. */
import { faultOf, isTransient } from '../domain/errors.ts';
import { backoffAfter } from '../domain/retry.ts';
import type { Log } from './ports.ts';

/** A round that takes longer has not ended because of a fault. */
const ROUND_LIMIT_MS = 30_000;

export interface Loop {
  /** Starts the next round at once, or right after the current one; ignored during the backoff after a failure. */
  wake(): void;
  /** Why the loop does not do its work: its last round failed, or the current one does not end. */
  fault(): string | undefined;
  /** Stops the loop; resolves when the current round has ended. */
  stop(): Promise<void>;
}

/** Calls `runOnce` until stopped; it returns the milliseconds to sleep before the next round. A failed round is retried with backoff. */
export function startLoop(name: string, runOnce: () => Promise<number>, log: Log): Loop {
  let stopped = false;
  let woken = false;
  let failures = 0;
  let fault: string | undefined;
  /** When the current round began, `performance.now`. */
  let begunAt: number | undefined;
  let isRecovering = false;
  let rouse: () => void = () => {};

  async function sleep(ms: number): Promise<void> {
    if (woken || stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      rouse = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function run(): Promise<void> {
    while (!stopped) {
      woken = false;
      try {
        begunAt = performance.now();
        const pause = await runOnce();
        failures = 0;
        fault = undefined;
        begunAt = undefined;
        await sleep(pause);
      } catch (error) {
        failures += 1;
        fault = `${name} failed: ${faultOf(error)}`;
        begunAt = undefined;
        const level = isTransient(error) ? 'warn' : 'error';
        if (failures === 1 || level === 'error')
          log[level]({ loop: name, err: error }, `${name} failed and is retried`);
        // A wake does not shorten the backoff.
        woken = false;
        isRecovering = true;
        await sleep(backoffAfter(error, failures));
        isRecovering = false;
      }
    }
  }

  const running = run();
  return {
    fault() {
      const isStuck = begunAt !== undefined && performance.now() - begunAt > ROUND_LIMIT_MS;
      return isStuck ? `${name} does not go on` : fault;
    },
    wake() {
      woken = true;
      if (!isRecovering) rouse();
    },
    async stop() {
      stopped = true;
      rouse();
      await running;
    },
  };
}
