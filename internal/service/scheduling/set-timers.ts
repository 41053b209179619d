/** Sets timers in the transaction that calls for them, and puts them into the due queue once that is stored. */
import type { Transaction } from '../ports.ts';
import type { DueQueue, Timer, Timers } from './ports.ts';

export interface TimerDeps {
  readonly timers: Timers;
  readonly queue: DueQueue;
}

/** What is lost between the commit and the queue, reconciling adds within a minute. */
export async function setTimers(
  { timers, queue }: TimerDeps,
  tx: Transaction,
  wanted: readonly Timer[],
  afterCommit: (work: () => Promise<void>) => void,
): Promise<void> {
  if (wanted.length === 0) return;
  await timers.set(tx, wanted);
  afterCommit(async () => void (await queue.schedule(wanted)));
}
