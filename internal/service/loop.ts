/** The one runner of background loops: only it sleeps, and what it runs is a function that tests call themselves. */
import { isTransient } from '../domain/errors.ts';
import { backoffMs } from '../domain/retry.ts';
import type { Log } from './ports.ts';

export interface Loop {
  /** Runs the next round at once, or right after the one under way. */
  wake(): void;
  /** Resolves once the round under way has ended. */
  stop(): Promise<void>;
}

/** Runs `runOnce` again and again; it returns how many milliseconds to sleep before the next round. */
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
          log[level]({ loop: name, err: error }, `${name} failed and is tried again`);
        // Not to be woken out of: what failed a moment ago would only fail again.
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
