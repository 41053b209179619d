/** One keeper at a time owns a data directory: it listens on a socket, which the kernel closes when it dies, however it dies. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** What the owner answers on its socket. */
export interface Owner {
  /** Pid of the program that the servers are for. */
  program?: number;
  isStopping?: boolean;
  databaseUrl?: string;
  redisUrl?: string;
}

/** Longest path of a unix socket (macOS: 104 with the terminating zero). */
const MAX_SOCKET_PATH = 103;
/** An owner that is stopped by a signal accepts and does not answer; it is alive all the same. */
const ANSWER_LIMIT_MS = 1_000;
/** How long an owner that is stopping its servers is waited for. */
const STOPPING_LIMIT_MS = 15_000;

/** Asks the live owner of the data directory; undefined when there is none, and an empty answer when it is silent. */
export function askOwner(dataDir: string): Promise<Owner | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(socketOf(dataDir));
    let answer = '';
    socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy());
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(undefined);
    });
    socket.on('close', () => resolve(parsed(answer)));
  });
}

/** Becomes the owner, and from then on answers with `status()`; a predecessor that is stopping is waited for. */
export async function own(dataDir: string, status: () => Owner): Promise<void> {
  const { lock } = await import('proper-lockfile');
  const deadline = performance.now() + STOPPING_LIMIT_MS;
  for (;;) {
    // Held for moments, so that of two starts only one replaces the socket of an owner that is gone.
    const release = await lock(dataDir, {
      lockfilePath: path.join(dataDir, 'owner.lock'),
      stale: 5_000,
      retries: { retries: 600, minTimeout: 20, maxTimeout: 20 },
    });
    try {
      const owner = await askOwner(dataDir);
      if (!owner) return await listen(socketOf(dataDir), status);
      if (!owner.isStopping || performance.now() > deadline) {
        const holder = owner.program ? `process ${owner.program}` : 'another process';
        throw new Error(
          `The data directory ${dataDir} is in use by ${holder}; stop it, or set DATA_DIR to another.`,
        );
      }
    } finally {
      await release();
    }
    await wait(25);
  }
}

function listen(socket: string, status: () => Owner): Promise<void> {
  if (process.platform !== 'win32') fs.rmSync(socket, { force: true });
  return new Promise((resolve, reject) => {
    const server = net.createServer((connection) => {
      connection.on('error', () => {});
      connection.end(JSON.stringify(status()));
    });
    server.once('error', reject);
    // Any user that may enter the data directory may ask: whether a socket is dead is seen only by one that may connect.
    server.listen({ path: socket, readableAll: true, writableAll: true }, resolve);
    server.unref();
  });
}

function socketOf(dataDir: string): string {
  const dir = fs.existsSync(dataDir) ? fs.realpathSync(dataDir) : dataDir;
  const digest = createHash('sha256').update(dir).digest('hex').slice(0, 16);
  if (process.platform === 'win32') return `\\\\.\\pipe\\tiffin-${digest}`;
  const inside = path.join(dir, 'owner.sock');
  return Buffer.byteLength(inside) <= MAX_SOCKET_PATH ? inside : `/tmp/tiffin-${digest}.sock`;
}

function parsed(answer: string): Owner {
  try {
    return JSON.parse(answer);
  } catch {
    return {};
  }
}
