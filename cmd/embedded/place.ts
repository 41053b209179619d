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

/** What this version and earlier ones put into a data directory. */
const OURS =
  /^(postgres|redis|programs|servers\.log|owner\.(sock|lock)|logs|locks|embedded\.json|postgres\.init-.*)$/;

const isRoot = () => process.getuid?.() === 0;

/** DATA_DIR; else `data` in the current directory; else, where the servers could not use that, a place kept for this directory. */
export function choosePlace(setting: string | undefined): Place {
  if (setting) return { dataDir: path.resolve(setting) };
  const usual = path.resolve('data');
  const reason = obstacleTo(usual);
  const name = nameFor(process.cwd());
  const candidates = stateDirs().map((dir) => path.join(dir, name));
  // Once in use it stays in use, so that orders are still there after the current directory was opened.
  const used = candidates.find((dir) => holdsData(dir) && canKeepDataIn(dir));
  if (!reason && (holdsData(usual) || !used)) return { dataDir: usual };
  const dataDir = used ?? candidates.find(canKeepDataIn);
  if (dataDir) return { dataDir, reason: reason ?? 'earlier data are there' };
  throw new ConfigError(
    `${usual} cannot hold the data, because ${reason}, and neither can ${candidates.join(' or ')}; set DATA_DIR.`,
  );
}

function obstacleTo(usual: string): string | undefined {
  const parent = path.dirname(usual);
  const target = fs.existsSync(usual) ? usual : parent;
  if (!isWritable(target)) return `${target} cannot be written`;
  const user = serverUser(usual);
  const closed = user && closedDir(parent, user);
  return closed && `${closed} is closed to the user the servers run as (uid ${user.uid})`;
}

const holdsData = (dir: string) => fs.existsSync(path.join(dir, 'postgres'));

function nameFor(checkout: string): string {
  const digest = createHash('sha256').update(checkout).digest('hex').slice(0, 12);
  return `${path.basename(checkout).replace(/[^\w.-]/g, '_')}-${digest}`;
}

function stateDirs(): string[] {
  const temporary = path.join(os.tmpdir(), `tiffin-${process.getuid?.() ?? 'data'}`);
  if (isRoot()) return ['/var/lib/tiffin', temporary];
  const { XDG_STATE_HOME, HOME } = process.env;
  const state = XDG_STATE_HOME || (HOME && path.join(HOME, '.local', 'state'));
  return [...(state ? [path.join(state, 'tiffin')] : []), temporary];
}

/** Makes the directory above, which has to be ours: anybody may have made one in the temporary directory. */
function canKeepDataIn(dir: string): boolean {
  const parent = path.dirname(dir);
  try {
    makeDir(parent);
    const isOwn = process.getuid === undefined || fs.statSync(parent).uid === process.getuid();
    const user = serverUser(dir);
    return isOwn && isWritable(parent) && !(user && closedDir(parent, user));
  } catch {
    return false;
  }
}

/**
 * Makes the data directory, and where this program is root gives it to the user that the servers run as, whose id is
 * returned. Only what Tiffin makes is given: a directory with other things in it stays with its owner.
 */
export function prepareDataDir(dir: string): { dataDir: string; user: ServerUser | undefined } {
  try {
    makeDir(dir);
    fs.accessSync(dir, fs.constants.W_OK);
  } catch (error) {
    throw new ConfigError(
      `The data directory ${dir} cannot be used (${(error as Error).message}); set DATA_DIR to another.`,
    );
  }
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
export function serverUser(dataDir: string): ServerUser | undefined {
  if (!isRoot()) return undefined;
  const cluster = ownerOf(path.join(dataDir, 'postgres'));
  if (cluster) return cluster;
  for (const dir of [dataDir, path.dirname(dataDir)]) {
    const owner = ownerOf(dir);
    if (owner && lookUp(String(owner.uid))) return owner; // initdb wants an entry in passwd
  }
  const user = lookUp('postgres') ?? lookUp('nobody');
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
  const way = [dir];
  while (path.dirname(way[0] as string) !== way[0]) way.unshift(path.dirname(way[0] as string));
  const script = 'for d; do test -x "$d" || { printf %s "$d"; exit; }; done';
  const { stdout } = spawnSync('/bin/sh', ['-c', script, 'sh', ...way], {
    ...user,
    cwd: '/',
    encoding: 'utf8',
  });
  return stdout || undefined;
}

/** Open to other users where this program is root, whatever its umask: the servers have to pass through. */
function makeDir(dir: string): void {
  const umask = isRoot() ? process.umask(0o022) : undefined;
  try {
    fs.mkdirSync(dir, { recursive: true });
  } finally {
    if (umask !== undefined) process.umask(umask);
  }
}

function isWritable(dir: string): boolean {
  try {
    fs.accessSync(dir, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
