/** Group commit: commands that arrive together are committed together, and those that arrive during a commit form the next group. */
import { isTransient, TiffinError } from '../domain/errors.ts';

export interface GroupCommitOptions {
  /** The largest number of commands in a group. */
  readonly maxBatch: number;
  /** The largest number of groups that are committed at a time. */
  readonly concurrency: number;
  /** The largest number of waiting commands; a further one is rejected with OVERLOADED. */
  readonly maxWaiting: number;
}

interface Waiter<C, R> {
  readonly command: C;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Turns `commit`, which returns one result for each of many commands, into a function for one command. If a group fails,
 * its commands are committed one by one, so that only the faulty one is rejected; a transient fault rejects all of them.
 */
export function groupCommit<C, R>(
  commit: (commands: readonly C[]) => Promise<readonly R[]>,
  options: GroupCommitOptions,
): (command: C) => Promise<R> {
  let waiting: Waiter<C, R>[] = [];
  let running = 0;

  function start(): void {
    while (running < options.concurrency && waiting.length > 0) {
      const group = waiting.slice(0, options.maxBatch);
      waiting = waiting.slice(options.maxBatch);
      running += 1;
      void settle(group).finally(() => {
        running -= 1;
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
      return Promise.reject(new TiffinError('OVERLOADED', 'too many orders are waiting to be placed'));
    }
    return new Promise<R>((resolve, reject) => {
      waiting.push({ command, resolve, reject });
      if (scheduled) return;
      // All requests that arrive in this turn of the event loop join one group.
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        start();
      });
    });
  };
}
