/** Builds the Go program that checks histories with Porcupine, and runs it. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** The first build on a machine fetches Porcupine and compiles Go's own packages; later ones take them from Go's cache. */
const BUILD_MS = 240_000;
const CHECK_MS = 30_000;

export interface Verdict {
  /** How many orders were looked at. */
  readonly checked: number;
  /** The ids of those whose answers are not linearizable, sorted. */
  readonly violations: readonly string[];
}

export interface Checker {
  /** The verdicts of histories, which are texts of JSON lines. */
  check(histories: readonly string[]): Verdict[];
  remove(): void;
}

/** The checker, or why there is none; GO_TESTS=required makes a missing one an error. */
export function buildChecker(): Checker | string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-porcupine-'));
  const program = path.join(folder, 'porcupine');
  const { status, stderr, error } = spawnSync(
    'go',
    ['build', '-mod=readonly', '-buildvcs=false', '-o', program, '.'],
    {
      cwd: import.meta.dirname,
      env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local' },
      encoding: 'utf8',
      timeout: BUILD_MS,
    },
  );
  const remove = () => fs.rmSync(folder, { recursive: true, force: true });
  if (status === 0) return { check: (histories) => check(program, folder, histories), remove };
  remove();
  const why =
    error && 'code' in error && error.code === 'ENOENT'
      ? 'there is no go on the PATH'
      : `go cannot build the checker: ${error?.message ?? stderr}`;
  if (process.env.GO_TESTS === 'required') throw new Error(`GO_TESTS=required, and ${why}`);
  return why;
}

function check(program: string, folder: string, histories: readonly string[]): Verdict[] {
  const files = histories.map((text, n) => {
    const file = path.join(folder, `${n}.jsonl`);
    fs.writeFileSync(file, text);
    return file;
  });
  const { status, stdout, stderr, error } = spawnSync(program, files, {
    encoding: 'utf8',
    timeout: CHECK_MS,
  });
  if (status !== 0 && status !== 1) throw new Error(`porcupine ends with ${status}: ${error ?? stderr}`);
  const verdicts = stdout
    .trim()
    .split('\n')
    .map((line): Verdict => {
      const { checked, violations } = JSON.parse(line);
      return { checked, violations: violations.sort() };
    });
  const isViolated = verdicts.some(({ violations }) => violations.length > 0);
  if (verdicts.length !== files.length || isViolated !== (status === 1))
    throw new Error(`porcupine ends with ${status} and says ${stdout}`);
  return verdicts;
}
