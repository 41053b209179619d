/** Decides where the embedded servers keep their data, and as which user they run where this program is root. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ConfigError } from '../faults.ts';

export interface ServerUser {
  uid: number;
  gid: number;
}

export interface Place {
  dataDir: string;
  /** Why it is not `data` in the current directory, where DATA_DIR is not set. */
  reason?: string;
}

/** The names that this version and earlier ones give to what they put into a data directory. */
const OURS =
  /^(postgres|redis|programs|servers\.log|keeper\.(lock|json)|owner\.(sock|lock)|logs|locks|embedded\.json|postgres\.init-.*)$/;

const isRoot = () => process.getuid?.() === 0;

/** DATA_DIR; else `data` in the current directory; else, where the servers cannot use that, a directory kept for this one. */
export function choosePlace(setting: string | undefined): Place {
  if (setting) return { dataDir: path.resolve(setting) };
  const usual = path.resolve('data');
  const other = path.join(stateDir(), nameFor(process.cwd()));
  const reason = obstacleTo(usual);
  // Once in use it stays in use, so that orders are still there after the current directory was opened.
  if (!reason && (holdsData(usual) || !holdsData(other))) return { dataDir: usual };
  return { dataDir: other, reason: reason ?? 'earlier data are there' };
}

function obstacleTo(usual: string): string | undefined {
  const target = fs.existsSync(usual) ? usual : path.dirname(usual);
  if (faultOfWriting(target)) return `${target} cannot be written`;
  const user = serverUser(usual);
  const closed = user && closedDir(path.dirname(usual), user);
  return closed && `${closed} is closed to the user the servers run as (uid ${user.uid})`;
}

const holdsData = (dir: string) => fs.existsSync(path.join(dir, 'postgres'));

function stateDir(): string {
  if (isRoot()) return '/var/lib/tiffin';
  return path.join(process.env.XDG_STATE_HOME || path.join(os.homedir(), '.local', 'state'), 'tiffin');
}

function nameFor(checkout: string): string {
  const digest = createHash('sha256').update(checkout).digest('hex').slice(0, 12);
  return `${path.basename(checkout).replace(/[^\w.-]/g, '_')}-${digest}`;
}

/**
 * Makes the data directory, and where this program is root gives it to the user that the servers run as, whose id is
 * returned. Only what Tiffin makes is given: a directory with other things in it stays with its owner.
 */
export function prepareDataDir(dir: string): { dataDir: string; user: ServerUser | undefined } {
  const fault = faultOfMaking(dir) ?? faultOfWriting(dir);
  if (fault)
    throw new ConfigError(`The data directory ${dir} cannot be used (${fault}); set DATA_DIR to another.`);
  const dataDir = fs.realpathSync(dir);
  const user = serverUser(dataDir);
  if (user) {
    const entries = fs.readdirSync(dataDir);
    const ours = entries.filter((name) => OURS.test(name));
    if (ours.length === entries.length) fs.chownSync(dataDir, user.uid, user.gid);
    giveTo(user, ...ours.map((name) => path.join(dataDir, name)));
    const closed = closedDir(dataDir, user);
    if (closed)
      throw new ConfigError(
        `The data directory ${dataDir} cannot be reached by the user the servers run as (uid ${user.uid}), because ${closed} is closed to it; set DATA_DIR to another, or run "chmod o+x ${closed}".`,
      );
  }
  const owner = fs.statSync(path.join(dataDir, 'postgres'), { throwIfNoEntry: false })?.uid;
  const uid = user?.uid ?? process.getuid?.() ?? owner;
  if (owner !== undefined && owner !== uid)
    throw new ConfigError(
      `The data in ${dataDir} belong to uid ${owner}, and this program runs as uid ${uid}; run it as their owner, or set DATA_DIR to another.`,
    );
  return { dataDir, user };
}

/** The user of the servers when this program is root, which Postgres refuses to be; undefined when it is not. */
function serverUser(dataDir: string): ServerUser | undefined {
  if (!isRoot()) return undefined;
  const cluster = ownerOf(path.join(dataDir, 'postgres'));
  if (cluster) return cluster;
  const owners = [ownerOf(dataDir), ownerOf(path.dirname(dataDir))];
  const known = owners.find((owner) => owner && lookUp(String(owner.uid))); // initdb wants an entry in passwd
  const user = known ?? lookUp('postgres') ?? lookUp('nobody');
  if (user) return user;
  throw new ConfigError(
    "Postgres refuses to run as root, and there is no user 'postgres' or 'nobody' to run it as; start Tiffin as an ordinary user, or set DATABASE_URL.",
  );
}

function ownerOf(dir: string): ServerUser | undefined {
  const found = fs.statSync(dir, { throwIfNoEntry: false });
  return found && found.uid !== 0 ? { uid: found.uid, gid: found.gid } : undefined;
}

function lookUp(name: string): ServerUser | undefined {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }));
  return uid?.status === 0 ? { uid: Number(uid.stdout), gid: Number(gid?.stdout) } : undefined;
}

export function giveTo(user: ServerUser | undefined, ...paths: string[]): void {
  if (user && paths.length > 0) spawnSync('chown', ['-hR', `${user.uid}:${user.gid}`, ...paths]);
}

/** The first directory on the way to `dir`, or `dir` itself, that the user may not enter. */
function closedDir(dir: string, user: ServerUser): string | undefined {
  const names = dir.split(path.sep);
  const way = names.map((_, i) => names.slice(0, i + 1).join(path.sep) || path.sep);
  const script = 'for d; do test -x "$d" || { printf %s "$d"; exit; }; done';
  const options = { ...user, cwd: '/', encoding: 'utf8' } as const;
  return spawnSync('/bin/sh', ['-c', script, 'sh', ...way], options).stdout || undefined;
}

/** Makes it open to other users where this program is root, whatever its umask: the servers have to pass through. */
function faultOfMaking(dir: string): string | undefined {
  const umask = isRoot() ? process.umask(0o022) : undefined;
  try {
    fs.mkdirSync(dir, { recursive: true });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    if (umask !== undefined) process.umask(umask);
  }
}

function faultOfWriting(dir: string): string | undefined {
  try {
    fs.accessSync(dir, fs.constants.W_OK);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
