/** A Postgres for one test, which may be configured, copied to a standby, killed and promoted. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import getPort from 'get-port';
import pg from 'pg';
import { giveTo, prepareDataDir } from '../../cmd/embedded/place.ts';
import { embeddedPostgres } from '../../cmd/embedded/postgres.ts';
import { until } from './until.ts';

export interface OwnPostgres {
  readonly url: string;
  readonly host: string;
  /** The cluster's directory. */
  readonly dir: string;
  start(): Promise<void>;
  /** Sends SIGKILL, or another signal that ends the server, and waits for its end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Runs one statement. */
  query(statement: string): Promise<pg.QueryResult>;
  /** A standby that streams from this server, which is restarted for it. */
  standby(): Promise<OwnPostgres>;
  /** Puts a file that the server reads into its directory. */
  write(name: string, content: string): void;
  stop(): Promise<void>;
}

/** Its directory is made in `parent`. */
export async function startOwnPostgres(
  settings: Readonly<Record<string, string>> = {},
  parent = os.tmpdir(),
): Promise<OwnPostgres> {
  const postgres = await preparePostgres(undefined, parent);
  postgres.configure({ ...settings, logging_collector: 'on' });
  await postgres.start();
  return postgres;
}

/** A cluster that is not started; `copyOf` is the directory of another one. */
async function preparePostgres(copyOf?: string, parent = os.tmpdir()) {
  const root = fs.mkdtempSync(path.join(parent, 'tiffin-postgres-'));
  fs.chmodSync(root, 0o755);
  const { dataDir, user } = prepareDataDir(root);
  const dir = path.join(dataDir, 'postgres');
  if (copyOf) spawnSync('cp', ['-a', copyOf, dir]);
  const output = fs.openSync(path.join(root, 'servers.log'), 'a');
  const kindOn = await embeddedPostgres(dataDir, user, output);
  const port = await getPort({ host: '127.0.0.1' });
  const { url, spawn, isReady } = kindOn(port);
  let child: ChildProcess | undefined;
  const write = (name: string, content: string) => {
    const file = path.join(dir, name);
    fs.writeFileSync(file, content, { mode: 0o600 });
    giveTo(user, file);
  };
  const configure = (settings: Readonly<Record<string, string>>) =>
    fs.appendFileSync(
      path.join(dir, 'postgresql.conf'),
      Object.entries(settings)
        .map(([name, value]) => `${name} = '${value}'\n`)
        .join(''),
    );
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
    // The processes of its sessions end a moment later.
    await pause(50);
  };
  const postgres = {
    url,
    host: `127.0.0.1:${port}`,
    dir,
    write,
    configure,
    async start() {
      const started = spawn();
      child = started;
      await until('Postgres to be ready', () => isReady(started));
    },
    kill: (signal: NodeJS.Signals = 'SIGKILL') => end(signal),
    signal: (name: NodeJS.Signals) => void child?.kill(name),
    async query(statement: string) {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      return client.query(statement).finally(() => client.end());
    },
    async standby() {
      await end('SIGINT');
      const copy = await preparePostgres(dir);
      copy.configure({
        primary_conninfo: `host=127.0.0.1 port=${port} user=tiffin password=tiffin application_name=standby`,
      });
      copy.write('standby.signal', '');
      await postgres.start();
      await copy.start();
      await until('the standby to stream', async () => {
        const { rows } = await postgres.query(`SELECT FROM pg_stat_replication WHERE state = 'streaming'`);
        return rows.length > 0;
      });
      return copy;
    },
    async stop() {
      await end('SIGKILL');
      fs.closeSync(output);
      fs.rmSync(root, { recursive: true, force: true });
    },
  };
  return postgres;
}
