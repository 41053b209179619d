/** Runs an example as its reader would: a program of its own, whose lines are collected. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

export const ROOT = path.resolve(import.meta.dirname, '../..');

export interface Example {
  readonly lines: readonly string[];
  /** Resolves once the program has ended. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

export function startExample(command: string, args: readonly string[], env: Record<string, string>): Example {
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return {
    lines,
    ended,
    async stop() {
      child.kill('SIGINT');
      await ended;
    },
  };
}
