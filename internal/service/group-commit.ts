/** Group commit: commands that arrive together are committed together, and while one group is under way the next one gathers. */
import { isTransient, TiffinError } from '../domain/errors.ts';

export interface GroupCommitOptions {
  /** Commands in one group, at most. */
  readonly maxBatch: number;
  /** Groups under way at a time. */
  readonly concurrency: number;
  /** Commands that may wait; one more is refused as OVERLOADED. */
  readonly maxWaiting: number;
}

interface Waiter<C, R> {
  readonly command: C;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/** Turns `commit`, which takes many commands, into a function for one. A command that makes its group fail fails alone. */
export function groupCommit<C, R>(
  commit: (commands: readonly C[]) => Promise<readonly R[]>,
  options: GroupCommitOptions,
): (command: C) => Promise<R> {
  let waiting: Waiter<C, R>[] = [];
  let underWay = 0;

  function start(): void {
    while (underWay < options.concurrency && waiting.length > 0) {
      const group = waiting.slice(0, options.maxBatch);
      waiting = waiting.slice(options.maxBatch);
      underWay += 1;
      void settle(group).finally(() => {
        underWay -= 1;
        start();
      });
    }
  }

  async function settle(group: readonly Waiter<C, R>[]): Promise<void> {
    try {
      const results = await commit(group.map(({ command }) => command));
      group.forEach(({ resolve }, index) => {
        resolve(results[index] as R);
      });
    } catch (error) {
      if (group.length === 1 || isTransient(error)) {
        for (const { reject } of group) reject(error);
      } else {
        for (const waiter of group) await settle([waiter]);
      }
    }
  }

  let scheduled = false;
  return (command) => {
    if (waiting.length >= options.maxWaiting) {
      return Promise.reject(new TiffinError('OVERLOADED', 'too many orders are being placed at this moment'));
    }
    return new Promise<R>((resolve, reject) => {
      waiting.push({ command, resolve, reject });
      if (scheduled) return;
      // Requests that were read from their sockets in this turn of the event loop join the same group.
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        start();
      });
    });
  };
}
