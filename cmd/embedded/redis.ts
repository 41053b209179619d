/** The embedded Redis: redis-server or valkey-server where the machine has one, else Valkey as WebAssembly. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { giveTo, type ServerUser } from './place.ts';
import { endStray, LOOPBACK, type ServerKind } from './server-process.ts';

export type RedisChoice = 'auto' | 'native' | 'wasm';

export const redisPidFile = (dataDir: string) => path.join(dataDir, 'redis', 'redis.pid');

/** Prepares the working directory, and returns how to run the server on a port. Redis keeps nothing on disk: Postgres has the truth. */
export async function embeddedRedis(
  dataDir: string,
  user: ServerUser | undefined,
  choice: RedisChoice,
): Promise<(port: number) => ServerKind> {
  const program = choice === 'wasm' ? undefined : (onPath('redis-server') ?? onPath('valkey-server'));
  if (!program && choice === 'native')
    throw new Error('EMBEDDED_REDIS is native, and neither redis-server nor valkey-server is on the PATH.');
  const pidFile = redisPidFile(dataDir);
  const dir = path.dirname(pidFile);
  fs.mkdirSync(dir, { recursive: true });
  giveTo(user, dir);
  await endStray(pidFile);
  return (port) => {
    let isListening = false;
    return {
      url: `redis://${LOOPBACK}:${port}`,
      spawn: () => {
        if (program)
          return spawn(program, flags(port, pidFile), {
            ...user,
            cwd: dir,
            stdio: ['ignore', 'inherit', 'inherit'],
          });
        return startWasm(port, dir).once('message', () => {
          isListening = true;
        });
      },
      isReady: async ({ pid }) => (program ? (await pidBehind(port)) === pid : isListening),
      stopWith: [
        ['SIGTERM', 2_000],
        ['SIGKILL', 1_000],
      ],
    };
  };
}

function flags(port: number, pidFile: string): string[] {
  const memoryOnly = ['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'];
  return [
    '--bind',
    LOOPBACK,
    '--port',
    String(port),
    '--pidfile',
    pidFile,
    '--daemonize',
    'no',
    ...memoryOnly,
  ];
}

/** Runs as this program does, whose files it needs, and ends when its IPC channel closes, that is, with the keeper. */
function startWasm(port: number, cwd: string) {
  const program = fileURLToPath(import.meta.resolve('./valkey.ts'));
  const args = ['--no-warnings', '--import', import.meta.resolve('tsx'), program, String(port)];
  return spawn(process.execPath, args, { cwd, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

function onPath(program: string): string | undefined {
  const dirs = (process.env.PATH ?? '').split(path.delimiter);
  return dirs.map((dir) => path.resolve(dir || '.', program)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The pid of the server on that port, as the server reports it. */
async function pidBehind(port: number): Promise<number> {
  const socket = net.connect(port, LOOPBACK);
  socket.setTimeout(1_000, () => socket.destroy());
  socket.write('INFO server\r\nQUIT\r\n');
  const answer = await text(socket).catch(() => ''); // it does not listen yet
  return Number(/^process_id:(\d+)\r$/m.exec(answer)?.[1]);
}
