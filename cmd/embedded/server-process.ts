/** One server process: starts it, tells when it answers and when it ends, and stops it. */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';

export const LOOPBACK = '127.0.0.1';

/** What is particular to one kind of server. */
export interface ServerKind {
  /** Where clients find it. */
  url: string;
  spawn(): ChildProcess;
  /** Whether this very process answers, not a stranger on its port. */
  isReady(child: ChildProcess): boolean | Promise<boolean>;
  /** Signals that stop it, from polite to final, each with the milliseconds it is given. */
  stopWith: [NodeJS.Signals, number][];
}

export interface ServerProcess {
  /** Resolves once it answers. */
  ready: Promise<void>;
  /** Resolves, when it has ended, with how. */
  ended: Promise<string>;
  stop(): Promise<void>;
}

const POLL_MS = 15;

export function startServer({ spawn, isReady, stopWith }: ServerKind): ServerProcess {
  const child = spawn();
  let how: string | undefined;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `killed by ${signal}` : `exit code ${code}`));
  });
  void ended.then((end) => {
    how = end;
  });

  async function answers(): Promise<void> {
    while (how === undefined && !(await isReady(child))) await wait(POLL_MS);
    if (how !== undefined) throw new Error(how);
  }

  return {
    ready: answers(),
    ended,
    async stop() {
      for (const [signal, patienceMs] of stopWith) {
        if (how !== undefined) return;
        child.kill(signal);
        await Promise.race([ended, wait(patienceMs)]);
      }
    },
  };
}
