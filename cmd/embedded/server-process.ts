/** One server process: starts it, reports when it is ready and when it ends, and stops it; also one that a killed keeper left. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export const LOOPBACK = '127.0.0.1';

/** What differs between kinds of server. */
export interface ServerKind {
  /** Where clients find it. */
  url: string;
  spawn(): ChildProcess;
  /** Whether this very process answers, not another one on its port. */
  isReady(child: ChildProcess): boolean | Promise<boolean>;
  /** Signals that stop it, from polite to final, each with the milliseconds it is given. */
  stopWith: [NodeJS.Signals, number][];
}

export interface ServerProcess {
  /** Resolves once it is ready. */
  ready: Promise<void>;
  /** Resolves with how it ended. */
  ended: Promise<string>;
  stop(): Promise<void>;
}

const POLL_MS = 15;
const STRAY_LIMIT_MS = 3_000;

export function startServer({ spawn, isReady, stopWith }: ServerKind): ServerProcess {
  const child = spawn();
  let how: string | undefined;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `killed by ${signal}` : `exit code ${code}`));
  }).then((end) => (how = end));

  async function untilReady(): Promise<void> {
    while (how === undefined && !(await isReady(child))) await wait(POLL_MS);
    if (how !== undefined) throw new Error(how);
  }

  return {
    ready: untilReady(),
    ended,
    async stop() {
      for (const [signal, limitMs] of stopWith) {
        if (how !== undefined) return;
        child.kill(signal);
        await Promise.race([ended, wait(limitMs)]);
      }
    },
  };
}

/** Ends the server that a killed keeper left in the file's directory: in good order, or by SIGKILL when that takes too long. */
export async function endStray(pidFile: string): Promise<void> {
  const deadline = performance.now() + STRAY_LIMIT_MS;
  for (let pid = serverOf(pidFile); pid; pid = serverOf(pidFile)) {
    try {
      process.kill(pid, performance.now() > deadline ? 'SIGKILL' : 'SIGINT');
    } catch {
      return; // It has just ended.
    }
    await wait(50);
  }
}

/** The pid in the file's first line, when a process that works in the file's directory has it, and not one that was given it later. */
export function serverOf(pidFile: string): number | undefined {
  try {
    const pid = Number(fs.readFileSync(pidFile, 'utf8').split('\n')[0]);
    return pid > 0 && workingDirectoryOf(pid) === path.dirname(pidFile) ? pid : undefined;
  } catch {
    return undefined; // There is no file, no such process, or it is another user's.
  }
}

function workingDirectoryOf(pid: number): string | undefined {
  if (process.platform === 'linux') return fs.readlinkSync(`/proc/${pid}/cwd`);
  const args = ['-a', '-p', String(pid), '-d', 'cwd', '-Fn'];
  return /^n(.*)$/m.exec(spawnSync('lsof', args, { encoding: 'utf8' }).stdout)?.[1];
}
