/** Keeps one server process running on its port: starts it, waits until it answers, and starts it again when it dies. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { signal } from './processes.ts';

export type Report = (event: {
  level: 'info' | 'warn' | 'error';
  msg: string;
  [field: string]: unknown;
}) => void;

/** What is particular to one kind of server. */
export interface ServerKind {
  name: 'postgres' | 'redis';
  fields: Record<string, unknown>;
  logFile: string;
  /** Ends what an earlier keeper left running in this server's directory. */
  clearStrays(): Promise<unknown>;
  spawn(): ChildProcess;
  /** Whether this very process answers, not a stranger on its port. */
  isReady(child: ChildProcess): Promise<boolean>;
  /** Signals that stop it, from polite to final, each with the milliseconds it is given. */
  stopWith: [NodeJS.Signals, number][];
}

export interface Supervised {
  /** Settles with the first start. */
  started: Promise<void>;
  pid(): number | undefined;
  stop(): Promise<void>;
}

const POLL_MS = 15;
const START_LIMIT_MS = 300_000;
const LONGEST_BACKOFF_MS = 10_000;
/** A server that lived this long is no longer counted as one that keeps dying. */
const SETTLED_MS = 30_000;

/** `persist` says what to do when the first start fails: try on (clients already know its address) or give up. */
export function supervise(
  kind: ServerKind,
  options: { persist: boolean; report: Report; onUp: () => void },
): Supervised {
  const stopping = new AbortController();
  let child: ChildProcess | undefined;

  /** Resolves, once it answers, with a function that waits for its end. */
  const startOnce = async (): Promise<() => Promise<string>> => {
    const startedAt = performance.now();
    await kind.clearStrays();
    if (stopping.signal.aborted) throw new Error(`${kind.name} was stopped before it started`);
    const spawned = kind.spawn();
    child = spawned;
    const ended = endOf(spawned);
    let end: string | undefined;
    void ended.then((how) => {
      end = how;
      if (child === spawned) child = undefined;
    });
    while (end === undefined && !(await kind.isReady(spawned))) {
      if (performance.now() - startedAt > START_LIMIT_MS) spawned.kill('SIGKILL');
      await wait(POLL_MS);
    }
    if (end !== undefined) throw new Error(`${kind.name} did not start (${end}): ${lastLines(kind.logFile)}`);
    options.onUp();
    const ms = Math.round(performance.now() - startedAt);
    options.report({
      level: 'info',
      msg: `embedded ${kind.name} is up`,
      ...kind.fields,
      pid: spawned.pid,
      ms,
    });
    return () => ended;
  };

  /** Waits for each end and starts again, until stopped. */
  const keep = async (first: (() => Promise<string>) | undefined) => {
    let failures = first ? 0 : 1;
    let ended = first;
    while (!stopping.signal.aborted) {
      const since = performance.now();
      if (ended) {
        const how = await ended();
        if (stopping.signal.aborted) return;
        failures = performance.now() - since > SETTLED_MS ? 1 : failures + 1;
        options.report({
          level: 'warn',
          msg: `embedded ${kind.name} died, starting it again`,
          ...kind.fields,
          how,
        });
      }
      const backoff = failures <= 1 ? 0 : Math.min(50 * 2 ** failures, LONGEST_BACKOFF_MS);
      await wait(backoff, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      ended = await startOnce().catch(reportRefusal);
      if (!ended) failures += 1;
    }
  };

  const reportRefusal = (error: Error): undefined => {
    if (stopping.signal.aborted) return;
    options.report({
      level: 'warn',
      msg: `embedded ${kind.name} did not start`,
      ...kind.fields,
      error: error.message,
    });
  };

  const first = options.persist ? startOnce().catch(reportRefusal) : startOnce();
  const running = first.then((end) => keep(end)).catch(() => {});

  return {
    started: first.then(() => {}),
    pid: () => child?.pid,
    async stop() {
      stopping.abort();
      for (const [name, patienceMs] of kind.stopWith) {
        if (!child?.pid) break;
        const ended = endOf(child);
        signal(child.pid, name);
        await Promise.race([ended, wait(patienceMs)]);
      }
      await running;
      await kind.clearStrays();
    },
  };
}

/** How the process ended, in words. */
async function endOf(child: ChildProcess): Promise<string> {
  if (child.exitCode !== null || child.signalCode !== null) return ended(child.exitCode, child.signalCode);
  try {
    const [code, signalName] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return ended(code, signalName);
  } catch (error) {
    return (error as Error).message;
  }
}

function ended(code: number | null, signalName: NodeJS.Signals | null): string {
  return signalName ? `killed by ${signalName}` : `exit code ${code}`;
}

export function lastLines(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5).join(' | ') || 'its log is empty';
  } catch {
    return 'it left no log';
  }
}

/** Opens a log for appending, beginning it anew when it has grown past 5 MB. */
export function openLog(file: string): number {
  const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return fs.openSync(file, size > 5_000_000 ? 'w' : 'a');
}
