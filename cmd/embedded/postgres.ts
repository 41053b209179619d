/** The embedded Postgres: its data directory and its settings. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { giveTo, type ServerUser } from './place.ts';
import { type Programs, postgresPrograms } from './programs.ts';
import { LOOPBACK, type ServerKind } from './server-process.ts';
import { endServersIn } from './strays.ts';

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
const DRAFT = 'postgres.init-';

/** Prepares the data directory (initialising it at the first start), and returns how to run the server in it on a port. */
export async function embeddedPostgres(
  dataDir: string,
  user: ServerUser | undefined,
): Promise<(port: number) => ServerKind> {
  const programs = await postgresPrograms(dataDir, user);
  const dir = path.join(dataDir, 'postgres');
  await endServersIn(dir);
  await removeDrafts(dataDir);
  if (!fs.existsSync(path.join(dir, 'PG_VERSION'))) await initialise(dataDir, dir, programs, user);
  fs.chmodSync(dir, 0o700);
  const flags = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return (port) => ({
    url: `postgres://${NAME}:${NAME}@${LOOPBACK}:${port}/${NAME}`,
    spawn: () =>
      spawn(programs.postgres, ['-D', dir, '-p', String(port), ...flags], {
        ...user,
        cwd: dir,
        env: environment(),
        stdio: ['ignore', 'inherit', 'inherit'],
      }),
    isReady: ({ pid }) => {
      const lines = postmasterFile(dir);
      return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
    },
    stopWith: [
      ['SIGINT', 6_000], // fast: disconnects clients and checkpoints
      ['SIGQUIT', 1_500], // at once: recovers from the write-ahead log at the next start
      ['SIGKILL', 1_000],
    ],
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

async function removeDrafts(dataDir: string): Promise<void> {
  for (const name of fs.readdirSync(dataDir).filter((name) => name.startsWith(DRAFT))) {
    const draft = path.join(dataDir, name);
    await endServersIn(path.join(draft, 'cluster'));
    fs.rmSync(draft, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Makes the cluster in a sibling and renames it when it is whole, so that a kill half-way leaves only a draft. */
async function initialise(
  dataDir: string,
  dir: string,
  programs: Programs,
  user: ServerUser | undefined,
): Promise<void> {
  const draft = path.join(dataDir, `${DRAFT}${randomUUID().slice(0, 8)}`);
  const cluster = path.join(draft, 'cluster');
  const password = path.join(draft, 'password');
  fs.mkdirSync(cluster, { recursive: true });
  fs.writeFileSync(password, NAME, { mode: 0o600 });
  giveTo(user, draft);
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const access = [`--username=${NAME}`, `--pwfile=${password}`, '--auth=scram-sha-256'];
  const options = { cwd: cluster, user };
  await run(programs.initdb, ['-D', cluster, '--no-instructions', ...locale, ...access], options);
  await run(programs.postgres, ['--single', '-D', cluster, 'postgres'], {
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
  const fault = /^.*\b(?:PANIC|FATAL|ERROR|error): +(.*)$/m.exec(output)?.[1];
  if (code === 0 && fault === undefined) return;
  const how = signalName ?? `exit code ${code}`;
  throw new Error(
    `${path.basename(command)} cannot make the database in ${path.dirname(path.dirname(options.cwd))}: ${fault ?? how}.`,
  );
}

/** Without the caller's PG… and locale settings, which would reach into the server. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}
