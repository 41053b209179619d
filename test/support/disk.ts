/** A small disk that a run can fill and free again: a file system in memory, which only root can mount. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export interface Disk {
  readonly dir: string;
  /** No further byte can be written. */
  fill(): void;
  free(): void;
  /** What is on it is gone. */
  unmount(): void;
}

const FILL_TRIES = 20;

export function mountDisk(dir: string, megabytes: number): Disk {
  fs.mkdirSync(dir, { recursive: true });
  mount('-t', 'tmpfs', '-o', `size=${megabytes}m,mode=777`, 'tmpfs', dir);
  return {
    dir,
    fill() {
      // It may grow between the look and the change, which is then refused.
      for (let tries = 1; ; tries++) {
        const { blocks, bfree, bsize } = fs.statfsSync(dir);
        try {
          return mount('-o', `remount,size=${(blocks - bfree) * bsize}`, dir);
        } catch (error) {
          if (tries === FILL_TRIES) throw error;
        }
      }
    },
    free: () => mount('-o', `remount,size=${megabytes}m`, dir),
    unmount: () => void spawnSync('umount', ['-l', dir]),
  };
}

/** Why no disk can be made full; undefined if it can. */
export function whyNoDisk(): string | undefined {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-disk-'));
  try {
    mountDisk(dir, 1).unmount();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    fs.rmdirSync(dir);
  }
}

function mount(...args: string[]): void {
  const { status, stderr, error } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mount failed: ${error?.message ?? stderr.trim()}`);
}
