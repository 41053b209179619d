/** Finds and ends the servers that a killed keeper left behind in a directory. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/** The command lines this program starts. A shell or an editor opened in the same directory is none of them. */
const OUR_COMMANDS = /(^|\/)(postgres|initdb|redis-server|valkey-server)( |:|$)|embedded\/valkey\.ts/;
const PATIENCE_MS = 3_000;

/** Pids of our servers whose working directory is `dir`, which tells them from a stranger with a pid that was used before. */
export function serversIn(dir: string): number[] {
  const target = fs.statSync(dir, { throwIfNoEntry: false });
  if (!target) return [];
  if (fs.existsSync('/proc/self/cwd'))
    return fs
      .readdirSync('/proc')
      .map(Number)
      .filter((pid) => isOurs(pid, target));
  const { stdout } = spawnSync('lsof', ['-t', '-a', '-d', 'cwd', '--', dir], { encoding: 'utf8' });
  return (stdout ?? '')
    .split('\n')
    .filter((pid) => pid !== '' && OUR_COMMANDS.test(commandOf(pid)))
    .map(Number);
}

function isOurs(pid: number, target: fs.Stats): boolean {
  try {
    const cwd = fs.statSync(`/proc/${pid}/cwd`);
    if (cwd.ino !== target.ino || cwd.dev !== target.dev) return false;
    return OUR_COMMANDS.test(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim());
  } catch {
    return false; // No process, one that is gone, or another user's.
  }
}

function commandOf(pid: string): string {
  return spawnSync('ps', ['-o', 'command=', '-p', pid], { encoding: 'utf8' }).stdout?.trim() ?? '';
}

/** Ends our servers in `dir`: in good order (a fast shutdown of Postgres), or by SIGKILL when that takes too long. */
export async function endServersIn(dir: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (const pid of serversIn(dir)) signal(pid, 'SIGINT');
  for (let left = serversIn(dir); left.length > 0; left = serversIn(dir)) {
    if (performance.now() > deadline) for (const pid of left) signal(pid, 'SIGKILL');
    await wait(20);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
