/** Runs a server in a JVM as a child process, which ends with this process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { readFile, rename } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { java } from './jars.ts';

export const HOST = '127.0.0.1';
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 15_000;
const LOG_LIMIT_BYTES = 10_000_000;

export interface Jvm {
  readonly pid: number;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit code or signal, as text. */
  readonly exited: Promise<string>;
}

export interface JvmServer {
  readonly name: string;
  /** The arguments of `java`. */
  readonly command: readonly string[];
  /** The file that gets its output. */
  readonly log: string;
  readonly port: number;
  readonly onEvent: (msg: string) => void;
  serves(): Promise<boolean>;
}

/** Starts the server and resolves when it serves. */
export async function boot({ name, command, log, port, onEvent, serves }: JvmServer): Promise<Jvm> {
  if (existsSync(log) && statSync(log).size > LOG_LIMIT_BYTES) await rename(log, `${log}.old`);
  const startedAt = performance.now();
  const logStart = existsSync(log) ? statSync(log).size : 0;
  const jvm = await launch(command, log);
  let exit: string | undefined;
  jvm.exited.then((status) => {
    exit = status;
    onEvent(`${name} (pid ${jvm.pid}) ended: ${status}`);
  });
  while (!(await serves())) {
    const late = performance.now() - startedAt > START_LIMIT_MS;
    if (exit === undefined && !late) {
      await delay(25);
      continue;
    }
    jvm.signal('SIGKILL');
    const reason = exit ? `it ended: ${exit}` : `it did not serve within ${START_LIMIT_MS / 1000} s`;
    await jvm.exited;
    throw new Error(`${name} did not start, ${reason}. From ${log}:\n${await excerpt(log, logStart)}`);
  }
  onEvent(
    `${name} (pid ${jvm.pid}) serves on ${HOST}:${port} after ${Math.round(performance.now() - startedAt)} ms`,
  );
  return jvm;
}

/** 25 lines of the log after byte `start`: from the first error on, or the last ones if there is no error. */
async function excerpt(log: string, start: number): Promise<string> {
  const lines = (await readFile(log)).subarray(start).toString().trimEnd().split('\n');
  const error = lines.findIndex((line) => / (ERROR|FATAL) |^Error:|^Exception/.test(line));
  return (error < 0 ? lines.slice(-25) : lines.slice(error, error + 25)).join('\n');
}

/**
 * Starts the JVM and a guard: a shell that reads from a pipe of this process. When this process ends, even by SIGKILL,
 * the pipe closes and the shell kills the JVM.
 */
async function launch(command: readonly string[], log: string): Promise<Jvm> {
  const output = openSync(log, 'a');
  // Detached, so that Ctrl-C in a terminal reaches only this process, which then stops the server gracefully.
  const child: ChildProcess = spawn(java(), command, { stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  const pid = child.pid!;
  const guard = spawn('/bin/sh', ['-c', 'read -r line; kill -9 "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.on('error', () => child.kill('SIGKILL'));
  guard.unref();
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      guard.kill('SIGKILL'); // Before closing its pipe: the guard could kill another process that reuses the pid.
      guard.stdin.destroy();
      resolve(signal ?? `exit code ${code}`);
    });
  });
  return { pid, exited, signal: (name) => child.kill(name) };
}

/** Stops the server gracefully. */
export async function end(jvm: Jvm): Promise<void> {
  jvm.signal('SIGTERM');
  const timer = setTimeout(() => jvm.signal('SIGKILL'), STOP_LIMIT_MS);
  await jvm.exited;
  clearTimeout(timer);
}

/**
 * A free port below the range for outgoing connections (32768 and up on Linux). From that range, a client that retries
 * while the server is down could be given the server's own port.
 */
export async function freePort(except?: number): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (port !== except && !(await isTaken(port))) return port;
  }
}

export function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
