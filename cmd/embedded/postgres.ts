/** The embedded Postgres: its data directory and its settings. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { giveTo, type ServerUser } from './place.ts';
import { type Programs, postgresPrograms } from './programs.ts';
import { endStray, LOOPBACK, type ServerKind } from './server-process.ts';

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
  // Tiffin logs the statements that Postgres refuses; the server's log keeps what concerns the server.
  log_min_messages: 'log',
};

const DRAFT = 'postgres.init-';

/** Its lines: pid, directory, start time, port, socket directory, address, shared memory, status. */
export const postgresPidFile = (dataDir: string) => path.join(dataDir, 'postgres', 'postmaster.pid');

/**
 * Prepares the data directory (initialising it at the first start), and returns how to run the server in it on a port.
 * The server's messages go to the file of the descriptor `output`, or to this process's own output.
 */
export async function embeddedPostgres(
  dataDir: string,
  user: ServerUser | undefined,
  output: number | 'inherit' = 'inherit',
): Promise<(port: number) => ServerKind> {
  const programs = postgresPrograms(dataDir, user);
  const pidFile = postgresPidFile(dataDir);
  const dir = path.dirname(pidFile);
  await endStray(pidFile);
  if (!fs.existsSync(path.join(dir, 'PG_VERSION'))) initialise(dataDir, dir, programs, user);
  fs.chmodSync(dir, 0o700);
  const flags = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return (port) => ({
    url: `postgres://${NAME}:${NAME}@${LOOPBACK}:${port}/${NAME}`,
    spawn: () =>
      spawn(programs.postgres, ['-D', dir, '-p', String(port), ...flags], {
        ...user,
        cwd: dir,
        env: environment(),
        stdio: ['ignore', output, output],
      }),
    isReady: ({ pid }) => {
      const lines = fs.existsSync(pidFile) ? fs.readFileSync(pidFile, 'utf8').split('\n') : [];
      return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
    },
    stopWith: [
      ['SIGINT', 6_000], // fast: disconnects clients and checkpoints
      ['SIGQUIT', 1_500], // at once: recovers from the write-ahead log at the next start
      ['SIGKILL', 1_000],
    ],
  });
}

/** Makes the cluster in a draft and renames it when it is whole, so that a kill half-way leaves only a draft. */
function initialise(dataDir: string, dir: string, programs: Programs, user: ServerUser | undefined): void {
  for (const name of fs.readdirSync(dataDir))
    if (name.startsWith(DRAFT)) fs.rmSync(path.join(dataDir, name), { recursive: true, maxRetries: 10 });
  // Under a name of its own: the initdb of a keeper that was killed may still be writing its draft.
  const draft = path.join(dataDir, `${DRAFT}${process.pid}`);
  const cluster = path.join(draft, 'cluster');
  const password = path.join(draft, 'password');
  fs.mkdirSync(cluster, { recursive: true });
  fs.writeFileSync(password, NAME, { mode: 0o600 });
  giveTo(user, draft);
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const access = [`--username=${NAME}`, `--pwfile=${password}`, '--auth=scram-sha-256'];
  const run = (program: string, args: string[], input?: string) => {
    const options = { ...user, cwd: cluster, env: environment(), input, encoding: 'utf8' } as const;
    const { status, signal, error, stdout, stderr } = spawnSync(program, args, options);
    // A failing statement does not change the exit code of a single-user session.
    const fault =
      error?.message ?? /^.*\b(?:PANIC|FATAL|ERROR|error): +(.*)$/m.exec(`${stdout}${stderr}`)?.[1];
    if (status !== 0 || fault)
      throw new Error(
        `${path.basename(program)} cannot make the database in ${dataDir}: ${fault ?? signal ?? `exit code ${status}`}.`,
      );
  };
  run(programs.initdb, ['-D', cluster, '--no-instructions', ...locale, ...access]);
  run(programs.postgres, ['--single', '-D', cluster, 'postgres'], `CREATE DATABASE ${NAME};\n`);
  fs.renameSync(cluster, dir);
  const parent = fs.openSync(dataDir, 'r');
  fs.fsyncSync(parent);
  fs.closeSync(parent);
  fs.rmSync(draft, { recursive: true, force: true });
}

/** Without the caller's PG… and locale settings, which would reach into the server. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}
