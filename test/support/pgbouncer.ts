/** A PgBouncer in transaction mode in front of the Postgres of the test run. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import getPort from 'get-port';
import pg from 'pg';
import { until } from './until.ts';

/** Why tests with PgBouncer are skipped; PGBOUNCER_TESTS=required makes a missing one an error. */
export function whyNoPgbouncer(): string | undefined {
  if (spawnSync('pgbouncer', ['--version']).status === 0) return undefined;
  if (process.env.PGBOUNCER_TESTS === 'required') throw new Error('there is no pgbouncer on the PATH');
  return 'there is no pgbouncer on the PATH';
}

/** PgBouncer refuses to run as root. */
const USER = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** Few sessions at the server, so that the clients have to share them. */
export async function startPgbouncer(databaseUrl: string): Promise<{ url: string; stop(): Promise<void> }> {
  const { hostname, port: serverPort, username, password } = new URL(databaseUrl);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-pgbouncer-'));
  const port = await getPort({ host: '127.0.0.1' });
  const ini = `[databases]
* = host=${hostname} port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${dir}/users.txt
pool_mode = transaction
default_pool_size = 5
max_client_conn = 200
server_idle_timeout = 1
server_round_robin = 1
`;
  fs.writeFileSync(path.join(dir, 'pgbouncer.ini'), ini);
  fs.writeFileSync(path.join(dir, 'users.txt'), `"${username}" "${password}"\n`);
  fs.chmodSync(dir, 0o755);
  const child = spawn('pgbouncer', [path.join(dir, 'pgbouncer.ini')], { ...USER, stdio: 'ignore' });
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  await until('PgBouncer to answer', async () => {
    const client = new pg.Client({ connectionString: url.href });
    return client
      .connect()
      .then(() => client.end())
      .then(
        () => true,
        () => false,
      );
  });
  return {
    url: url.href,
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
