/** The row locks of the simulated database: a row has one holder, and the others wait for it in turn. */
import { TiffinError } from '../../internal/domain/errors.ts';
import type { Session } from './database.ts';
import type { Scheduler } from './scheduler.ts';

/** After this wait for a lock the transaction is given up, as after a deadlock. */
const LOCK_TIMEOUT_MS = 2_000;

export interface RowLocks {
  /** Waits for the row. */
  readonly take: (session: Session, name: string) => Promise<void>;
  /** Gives back one row that turned out not to be needed. */
  readonly release: (session: Session, name: string) => void;
  /** Gives back everything, as the end of the transaction does. */
  readonly releaseAll: (session: Session) => void;
}

export function rowLocks(simulation: Scheduler): RowLocks {
  const holders = new Map<string, Session>();
  let waiters: { name: string; session: Session; grant: () => void }[] = [];

  function hold(session: Session, name: string): void {
    holders.set(name, session);
    session.locks.add(name);
  }

  /** Passes rows without a holder on to those who wait longest. */
  function passOn(): void {
    if (waiters.length === 0) return;
    const before = waiters;
    waiters = [];
    for (const waiter of before)
      if (!waiter.session.isOpen) continue;
      else if (holders.has(waiter.name)) waiters.push(waiter);
      else {
        hold(waiter.session, waiter.name);
        waiter.grant();
      }
  }

  return {
    async take(session, name) {
      // The transaction was given up while the statement was on its way.
      if (!session.isOpen) return new Promise(() => {});
      const holder = holders.get(name);
      if (holder === session) return;
      if (!holder) return hold(session, name);
      await new Promise<void>((resolve, reject) => {
        const giveUp = simulation.later(session.owner, LOCK_TIMEOUT_MS, () => {
          waiters = waiters.filter((other) => other !== waiter);
          reject(new TiffinError('UNAVAILABLE', `the transaction waited for ${name} for too long`));
        });
        const grant = () => {
          giveUp();
          simulation.later(session.owner, 0, resolve);
        };
        const waiter = { name, session, grant };
        waiters.push(waiter);
      });
    },
    release(session, name) {
      session.locks.delete(name);
      holders.delete(name);
      passOn();
    },
    releaseAll({ locks }) {
      for (const name of locks) holders.delete(name);
      passOn();
    },
  };
}
