/** Runs the program in its own process, and sends it requests as a client does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { until } from './until.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const SOURCES = ['--import', 'tsx', 'cmd/tiffin.ts'];
/** The program as one file, which starts faster; see bundle.ts. */
const PROGRAM = process.env.TEST_PROGRAM ? [process.env.TEST_PROGRAM] : SOURCES;

export interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Program {
  readonly url: string;
  readonly child: ChildProcess;
  /** The lines that the program has logged so far. */
  readonly log: LogLine[];
  /** Sends SIGKILL, and resolves when the process has ended. */
  kill(): Promise<void>;
  /** Sends SIGTERM, and resolves with the exit code. */
  stop(): Promise<number | null>;
}

export type Env = Readonly<Record<string, string | undefined>>;

/** The directory, user and group of the program; by default this checkout and the current user. */
export interface Circumstances {
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** A command that executes the command in its arguments. */
  readonly wrapper?: readonly string[];
}

/** Starts `tiffin <services…>` on a free port; resolves when the program logs that it is ready. */
export async function startProgram(
  env: Env,
  services: readonly string[] = [],
  circumstances: Circumstances = {},
): Promise<Program> {
  const { child, log, exited } = spawnProgram({ PORT: '0', ...env }, services, circumstances);
  const ready = await Promise.race([
    until('the program to be ready', () => log.find(({ msg }) => msg?.startsWith('Tiffin is ready at '))),
    exited.then(({ code, stderr }) => {
      throw new Error(`the program ended with ${code} before it was ready: ${stderr}`);
    }),
  ]);
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return (await exited).code;
  };
  return {
    url: ready.msg.slice('Tiffin is ready at '.length),
    child,
    log,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  };
}

/** Runs a program whose start is expected to fail; resolves with its exit code and stderr. */
export async function runProgram(
  env: Env,
  args: readonly string[] = [],
  circumstances: Circumstances = {},
): Promise<{ code: number | null; stderr: string }> {
  return spawnProgram(env, args, circumstances).exited;
}

function spawnProgram(env: Env, args: readonly string[], { wrapper = [], ...options }: Circumstances) {
  const isPlain = wrapper.length === 0 && Object.keys(options).length === 0;
  const command = [...wrapper, process.execPath, ...(isPlain ? PROGRAM : SOURCES), ...args];
  const child = spawn(command[0] as string, command.slice(1), {
    cwd: ROOT,
    ...options,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, LOG_FORMAT: 'json', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: LogLine[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => log.push(JSON.parse(line)));
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, stderr }));
  return { child, log, exited };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read response bodies of any shape
  readonly body: any;
}

export async function request(
  method: string,
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    ...(signal ? { signal } : {}),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
}

/** Resolves when GET /orders/{id} returns this status. */
export async function reaches(url: string, id: string, status: string): Promise<Answer> {
  return until(`order ${id} to be ${status}`, async () => {
    const answer = await request('GET', `${url}/orders/${id}`).catch(() => undefined);
    return answer?.body?.status === status ? answer : undefined;
  });
}
