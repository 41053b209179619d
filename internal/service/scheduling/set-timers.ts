/** Sets timers in a transaction, and adds them to the due queue after its commit. */
import type { Transaction } from '../ports.ts';
import type { DueQueue, Timer, Timers } from './ports.ts';

export interface TimerDeps {
  readonly timers: Pick<Timers, 'set' | 'clear'>;
  readonly queue: DueQueue;
}

/** If the process dies between the commit and the queue, the reconciler adds the timers within 70 seconds. */
export async function setTimers(
  { timers, queue }: TimerDeps,
  tx: Transaction,
  newTimers: readonly Timer[],
  afterCommit: (work: () => Promise<void>) => void,
): Promise<void> {
  if (newTimers.length === 0) return;
  await timers.set(tx, newTimers);
  afterCommit(async () => void (await queue.schedule(newTimers)));
}
