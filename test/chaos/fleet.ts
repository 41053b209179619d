/** The processes of Tiffin in a run, and their supervisor: a process that ends is started again on the same port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import getPort, { portNumbers } from 'get-port';
import type { Call } from './faults/kill-points.ts';
import type { Message } from './member-calls.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const SHIFTED_CLOCK = pathToFileURL(path.join(ROOT, 'test/support/shifted-clock.mjs')).href;
/** As a supervisor waits before it starts a process again. */
const RESTART_AFTER_MS = 200;
const STOP_LIMIT_MS = 15_000;
const READY_LIMIT_MS = 3_000;
/**
 * Below the range that outgoing connections take their ports from, so that a restarted process finds its own free. Each run has
 * a part of its own: one that begins at the same time finds the same ports free, and would get the answers of the other.
 */
const FIRST_PORT = 21_000 + (process.pid % 100) * 110;
const PORTS = portNumbers(FIRST_PORT, FIRST_PORT + 109);

export interface Member {
  readonly name: string;
  readonly url: string;
  /** How often it has ended without having been stopped. */
  readonly deaths: number;
  signal(name: NodeJS.Signals): void;
  /** Kills it at a call of a driver; resolves when it has died, or with false after the time limit. */
  killAt(call: Call, nth: number, withinMs: number): Promise<boolean>;
  /** It is not killed at a call any more. */
  spare(): void;
  /** From now on for a time, records reach its consumers late: each batch by a time of its own. */
  holdBack(hold: { readonly upToMs: number; readonly forMs: number }): void;
  /** Ends it, and starts it with its clock shifted by this time; 0 is the right time. */
  restart(clockShiftMs: number): Promise<void>;
  /** Whether /readyz says so. */
  isReady(): Promise<boolean>;
  /** What /readyz says. */
  readiness(): Promise<string>;
  stop(): Promise<void>;
}

export interface Fleet {
  readonly members: ReadonlyMap<string, Member>;
  member(name: string): Member;
  /** Starts a process that runs these services; `env` has settings of its own. */
  add(name: string, services: readonly string[], env?: Readonly<Record<string, string>>): Promise<Member>;
  remove(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** `program` is the file of each process; `dir` takes a file of each process's log. */
export function fleetOf(env: Readonly<Record<string, string>>, program: string, dir: string): Fleet {
  const members = new Map<string, Member>();
  return {
    members,
    member: (name) => members.get(name)!,
    async add(name, services, own = {}) {
      const port = await getPort({ host: '127.0.0.1', port: PORTS });
      const settings = { ...env, ...own, PORT: String(port) };
      const member = startMember(name, [program, ...services], settings, path.join(dir, `${name}.log`));
      members.set(name, member);
      return member;
    },
    async remove(name) {
      await members.get(name)?.stop();
      members.delete(name);
    },
    async stop() {
      await Promise.all([...members.values()].map((member) => member.stop()));
    },
  };
}

function startMember(
  name: string,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  logFile: string,
): Member {
  const log = fs.openSync(logFile, 'a');
  let clockShiftMs = 0;
  let deaths = 0;
  let stopping = false;
  let child: ChildProcess;
  let gone: Promise<unknown>;

  function start(): void {
    const preload = clockShiftMs === 0 ? [] : ['--import', SHIFTED_CLOCK];
    child = spawn(process.execPath, [...preload, ...command], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        LOG_FORMAT: 'json',
        CLOCK_SHIFT_MS: String(clockShiftMs),
        ...env,
      },
      stdio: ['ignore', log, log, 'ipc'],
    });
    child.on('error', () => {}); // a message to a process that has just died
    gone = once(child, 'exit').then(async () => {
      if (stopping) return;
      deaths += 1;
      await pause(RESTART_AFTER_MS);
      if (!stopping) start();
    });
  }
  start();

  /** False if it had to be killed. */
  const stop = async () => {
    stopping = true;
    const last = child;
    const limit = setTimeout(() => last.kill('SIGKILL'), STOP_LIMIT_MS);
    last.kill('SIGCONT');
    last.kill('SIGTERM');
    await gone;
    clearTimeout(limit);
    return last.signalCode !== 'SIGKILL';
  };
  const tell = (message: Message) => void child.send(message, () => {});
  const url = `http://127.0.0.1:${env.PORT}`;
  async function probe(): Promise<{ status: number; text: string }> {
    try {
      const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(READY_LIMIT_MS) });
      return { status: answer.status, text: await answer.text() };
    } catch (error) {
      return { status: 0, text: (error as Error).message };
    }
  }
  return {
    name,
    url,
    get deaths() {
      return deaths;
    },
    signal: (signal) => void child.kill(signal),
    async killAt(call, nth, withinMs) {
      const victim = gone;
      tell({ kill: { call, nth } });
      return Promise.race([victim.then(() => true), pause(withinMs, false)]);
    },
    spare: () => tell({ kill: 'never' }),
    holdBack: (hold) => tell({ hold }),
    async restart(shiftMs) {
      clockShiftMs = shiftMs;
      const hasStopped = await stop();
      stopping = false;
      start();
      if (!hasStopped) throw new Error(`${name} did not stop within ${STOP_LIMIT_MS / 1_000} s`);
    },
    isReady: async () => (await probe()).status === 200,
    readiness: async () => (await probe()).text,
    async stop() {
      await stop();
      fs.closeSync(log);
    },
  };
}
