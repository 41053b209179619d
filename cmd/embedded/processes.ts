/** Finds and ends the server processes that a killed keeper left in our directories, and the user they run as. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** The command lines this program starts. A shell or an editor opened in the same directory is none of them. */
const OUR_COMMANDS = /(^|\/)(postgres|initdb|redis-server|valkey-server)( |:|$)|embedded\/valkey\.ts/;

/** Pids of our servers whose working directory is `dir`: identity that survives a reused pid or a lost record. */
export function serversIn(dir: string): number[] {
  const target = fs.statSync(dir, { throwIfNoEntry: false });
  if (!target) return [];
  return fs.existsSync('/proc/self/cwd') ? fromProc(target) : fromLsof(fs.realpathSync(dir));
}

function fromProc(target: fs.Stats): number[] {
  const found: number[] = [];
  for (const entry of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const cwd = fs.statSync(`/proc/${entry}/cwd`);
      if (cwd.ino !== target.ino || cwd.dev !== target.dev) continue;
      const command = fs.readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      if (OUR_COMMANDS.test(command)) found.push(Number(entry));
    } catch {
      // Gone meanwhile, a zombie, or another user's: not ours to end.
    }
  }
  return found;
}

function fromLsof(dir: string): number[] {
  const lsof = spawnSync('lsof', ['-a', '-d', 'cwd', '-Fpn'], { encoding: 'utf8' });
  const found: number[] = [];
  let pid = 0;
  for (const line of (lsof.stdout ?? '').split('\n')) {
    if (line.startsWith('p')) pid = Number(line.slice(1));
    if (line !== `n${dir}` || pid === process.pid) continue;
    const command = spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '';
    if (OUR_COMMANDS.test(command.trim())) found.push(pid);
  }
  return found;
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ends our servers in `dir`: asks `first` of them with a signal, and kills what is left after `patienceMs`. */
export async function endServersIn(
  dir: string,
  options: { first: (pids: number[]) => number[]; with: NodeJS.Signals; patienceMs: number },
): Promise<number> {
  const pids = serversIn(dir);
  if (pids.length === 0) return 0;
  for (const pid of options.first(pids)) signal(pid, options.with);
  const deadline = performance.now() + options.patienceMs;
  for (let left = serversIn(dir); left.length > 0; left = serversIn(dir)) {
    if (performance.now() > deadline) for (const pid of left) signal(pid, 'SIGKILL');
    await wait(20);
  }
  return pids.length;
}

export interface ServerUser {
  uid: number;
  gid: number;
}

/** The user that servers run as when this program is root, which Postgres refuses; undefined when it is not. */
export function serverUser(existingDir: string): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const owner = fs.statSync(existingDir, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  return lookUp('postgres') ?? createUser();
}

function lookUp(name: string): ServerUser | undefined {
  const id = (flag: string) => spawnSync('id', [flag, name], { encoding: 'utf8' });
  const uid = id('-u');
  return uid.status === 0 ? { uid: Number(uid.stdout), gid: Number(id('-g').stdout) } : undefined;
}

function createUser(): ServerUser {
  try {
    execFileSync('useradd', ['--system', '--user-group', '--no-create-home', 'postgres'], { stdio: 'pipe' });
  } catch (error) {
    throw new Error(
      `Postgres refuses to run as root and no user "postgres" could be created (${(error as Error).message.trim()}); run Tiffin as an ordinary user.`,
    );
  }
  return lookUp('postgres')!;
}

/** Throws a sentence that names the directory which `user` may not enter on its way to `target`. */
export function assertReachable(target: string, user: ServerUser | undefined, what: string): void {
  if (!user) return;
  const parents: string[] = [];
  for (let dir = path.resolve(target); dir !== path.dirname(dir); dir = path.dirname(dir))
    parents.unshift(dir);
  const script = 'for d; do test -x "$d" || { printf %s "$d"; exit 1; }; done';
  const check = spawnSync('/bin/sh', ['-c', script, 'sh', ...parents], {
    ...user,
    cwd: '/',
    encoding: 'utf8',
  });
  if (check.status === 0) return;
  throw new Error(
    `${what} ${target} cannot be reached by the user the servers run as (uid ${user.uid}) because ${check.stdout} is closed to it; choose another place or run "chmod o+x ${check.stdout}".`,
  );
}
