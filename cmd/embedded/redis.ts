/** The embedded Redis: redis-server or valkey-server where the machine has one, else Valkey as WebAssembly. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { giveTo, type ServerUser } from './place.ts';
import { LOOPBACK, type ServerKind } from './server-process.ts';
import { endServersIn } from './strays.ts';

export type RedisChoice = 'auto' | 'native' | 'wasm';

/** Prepares the working directory, and returns how to run the server on a port. It keeps nothing on disk: Postgres is the truth. */
export async function embeddedRedis(
  dataDir: string,
  user: ServerUser | undefined,
  choice: RedisChoice,
): Promise<(port: number) => ServerKind> {
  const program = choice === 'wasm' ? undefined : (onPath('redis-server') ?? onPath('valkey-server'));
  if (!program && choice === 'native')
    throw new Error('EMBEDDED_REDIS is native, and neither redis-server nor valkey-server is on the PATH.');
  const dir = path.join(dataDir, 'redis');
  fs.mkdirSync(dir, { recursive: true });
  giveTo(user, dir);
  await endServersIn(dir);
  return (port) => (program ? native(program, dir, port, user) : wasm(dir, port));
}

const urlOf = (port: number) => `redis://${LOOPBACK}:${port}`;
const stopWith: ServerKind['stopWith'] = [
  ['SIGTERM', 2_000],
  ['SIGKILL', 1_000],
];

function native(program: string, dir: string, port: number, user: ServerUser | undefined): ServerKind {
  const memoryOnly = ['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'];
  const args = ['--bind', LOOPBACK, '--port', String(port), '--dir', dir, '--daemonize', 'no', ...memoryOnly];
  return {
    url: urlOf(port),
    spawn: () => spawn(program, args, { ...user, cwd: dir, stdio: ['ignore', 'inherit', 'inherit'] }),
    isReady: async (child) => (await pidBehind(port)) === child.pid,
    stopWith,
  };
}

/** Runs as this program does, whose files it needs, and ends when its IPC channel does, that is, with the keeper. */
function wasm(dir: string, port: number): ServerKind {
  const program = fileURLToPath(import.meta.resolve('./valkey.ts'));
  const args = ['--no-warnings', '--import', import.meta.resolve('tsx'), program, String(port)];
  let isListening = false;
  return {
    url: urlOf(port),
    spawn: () =>
      spawn(process.execPath, args, { cwd: dir, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }).once(
        'message',
        () => {
          isListening = true;
        },
      ),
    isReady: () => isListening,
    stopWith,
  };
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
    let answer = '';
    const socket = net.connect(port, LOOPBACK);
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', () => {}); // it does not listen yet
    socket.on('close', () => resolve(Number(/^process_id:(\d+)\r$/m.exec(answer)?.[1])));
    socket.write('INFO server\r\nQUIT\r\n');
  });
}
