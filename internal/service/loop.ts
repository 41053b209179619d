/** Runs background loops. Only this runner sleeps; tests call the loops' `runOnce` functions directly. */
import { isTransient } from '../domain/errors.ts';
import { backoffMs } from '../domain/retry.ts';
import type { Log } from './ports.ts';

export interface Loop {
  /** Starts the next round at once, or right after the current one; ignored during the backoff after a failure. */
  wake(): void;
  /** Stops the loop; resolves when the current round has ended. */
  stop(): Promise<void>;
}

/** Calls `runOnce` until stopped; it returns the milliseconds to sleep before the next round. A failed round is retried with backoff. */
export function startLoop(name: string, runOnce: () => Promise<number>, log: Log): Loop {
  let stopped = false;
  let woken = false;
  let failures = 0;
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
        const pause = await runOnce();
        failures = 0;
        await sleep(pause);
      } catch (error) {
        failures += 1;
        const level = isTransient(error) ? 'warn' : 'error';
        if (failures === 1 || level === 'error')
          log[level]({ loop: name, err: error }, `${name} failed and is retried`);
        // A wake does not shorten the backoff.
        woken = false;
        isRecovering = true;
        await sleep(backoffMs(failures));
        isRecovering = false;
      }
    }
  }

  const running = run();
  return {
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
