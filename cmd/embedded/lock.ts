/** The lock of a data directory, so that one keeper at a time runs servers in it, and the record of who holds it. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export interface Holder {
  /** Pid of the program that the servers are for. */
  program: number;
  databaseUrl?: string;
  redisUrl?: string;
}

/** A lock that its holder did not renew for this long is free: the holder was killed. */
const STALE_MS = 5_000;
/** How long a start waits for a holder that is killed or is stopping its servers. */
const WAIT_MS = 15_000;

const lockPath = (dataDir: string) => path.join(dataDir, 'keeper.lock');
const recordPath = (dataDir: string) => path.join(dataDir, 'keeper.json');

/** Locks the directory until this process ends. Throws a sentence while another program that is alive holds it. */
export async function lockDataDir(dataDir: string, program: number, onLost: () => void): Promise<void> {
  const { lock } = await import('proper-lockfile');
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    try {
      await lock(dataDir, { lockfilePath: lockPath(dataDir), stale: STALE_MS, onCompromised: onLost });
      return record(dataDir, { program });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
    }
    const holder = holderOf(dataDir);
    // In a container that was restarted this program may have the pid of the one before.
    if ((holder && holder.program !== program) || performance.now() > deadline)
      throw new Error(
        `The data directory ${dataDir} is in use by ${holder ? `process ${holder.program}` : 'another process'}; stop it, or set DATA_DIR to another.`,
      );
    await wait(25);
  }
}

/** For the program whose keeper was killed: without this the next start waits until the lock is stale. */
export function unlock(dataDir: string): void {
  for (const file of [recordPath(dataDir), lockPath(dataDir)])
    fs.rmSync(file, { recursive: true, force: true });
}

export function record(dataDir: string, holder: Holder): void {
  fs.rmSync(recordPath(dataDir), { force: true }); // another user may have written it
  fs.writeFileSync(recordPath(dataDir), JSON.stringify(holder));
}

/** Takes the record back; the lock stays until this process ends. */
export function eraseRecord(dataDir: string): void {
  fs.rmSync(recordPath(dataDir), { force: true });
}

/** The program that holds the directory; undefined when it has ended. */
export function holderOf(dataDir: string): Holder | undefined {
  try {
    const holder: Holder = JSON.parse(fs.readFileSync(recordPath(dataDir), 'utf8'));
    return isAlive(holder.program) ? holder : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
