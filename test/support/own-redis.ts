/** A redis-server for one test, which may change its configuration, stop it and start it again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import getPort from 'get-port';
import { Redis } from 'ioredis';
import { until } from './until.ts';

export interface OwnRedis {
  readonly url: string;
  /** Its working directory. */
  readonly dir: string;
  /** Sends a command, such as `CONFIG SET maxmemory 1mb`. */
  call(command: string, ...args: string[]): Promise<unknown>;
  kill(): Promise<void>;
  /** Stops it without ending it: its connections stay open, and nobody answers. */
  freeze(): void;
  /** Lets it go on. */
  thaw(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What a client needs to reach a server that has `--port 0 --tls-port`. */
export interface AdminAccess {
  readonly tls?: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
}

export async function startOwnRedis(...options: string[]): Promise<OwnRedis> {
  return startRedis(options);
}

export async function startRedis(options: readonly string[], access: AdminAccess = {}): Promise<OwnRedis> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-redis-'));
  const port = await getPort({ host: '127.0.0.1' });
  const ports = access.tls ? ['--port', '0', '--tls-port', String(port)] : ['--port', String(port)];
  // A Sentinel stores what it knows in its configuration file.
  const file = path.join(dir, 'redis.conf');
  fs.writeFileSync(file, '');
  const args = [file, '--bind', '127.0.0.1', ...ports, '--dir', dir, '--save', '', ...options];
  let child: ChildProcess;
  const admin = new Redis(port, '127.0.0.1', {
    maxRetriesPerRequest: null,
    retryStrategy: () => 50,
    ...access,
  });
  admin.on('error', () => {});
  const start = async () => {
    child = spawn('redis-server', [...args, '--enable-protected-configs', 'yes'], { stdio: 'ignore' });
    await until('redis-server to answer', async () => (await admin.ping().catch(() => '')) === 'PONG');
  };
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  await start();
  return {
    url: `redis${access.tls ? 's' : ''}://127.0.0.1:${port}`,
    dir,
    call: (command, ...rest) => admin.call(command, ...rest),
    kill,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    start,
    async stop() {
      admin.disconnect();
      await kill();
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
