/** A lock held by a live process: a unix socket it listens on, claimed by a numbered file in `<dataDir>/locks`. */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/** Who holds a lock. The kernel answers whether its socket is alive, so a reused pid misleads nobody. */
export interface Claim {
  id: string;
  pid: number;
  socket: string;
}

export type LockAttempt =
  | { held: true; id: string; release(): Promise<void> }
  | { held: false; holder: Claim };

/** Longest path a unix socket may have (macOS: 104 with the terminating zero). */
const MAX_SOCKET_PATH = 103;

/**
 * Takes the lock, or tells who has it.
 * The highest numbered claim counts. A dead one is succeeded by creating the next number, which `link` grants
 * to exactly one process; the socket listens before its claim appears, so a claim without a listener is dead.
 */
export async function tryLock(dataDir: string, name: string): Promise<LockAttempt> {
  const dir = path.join(dataDir, 'locks');
  await fs.mkdir(dir, { recursive: true });
  const id = randomUUID();
  const claim: Claim = { id, pid: process.pid, socket: socketPath(dir, id) };
  let server: net.Server | undefined;
  const abandon = async () => {
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
    server = undefined;
  };

  for (;;) {
    const latest = await latestClaim(dir, name);
    if (latest && (await isAlive(dir, latest.claim))) {
      await abandon();
      return { held: false, holder: latest.claim };
    }
    server ??= await listen(path.resolve(dir, claim.socket));
    const number = (latest?.number ?? 0) + 1;
    const file = path.join(dir, `${name}.${number}`);
    if (!(await createWhole(file, JSON.stringify(claim)))) continue;
    // Someone slower than two successions may have created a number already passed; the highest still counts.
    if ((await latestClaim(dir, name))?.claim.id !== id) {
      await fs.rm(file, { force: true });
      continue;
    }
    await removeOlder(dir, name, number);
    return { held: true, id, release: abandon };
  }
}

/** The live holder of the lock, if there is one. */
export async function lockHolder(dataDir: string, name: string): Promise<Claim | undefined> {
  const dir = path.join(dataDir, 'locks');
  const latest = await latestClaim(dir, name);
  return latest && (await isAlive(dir, latest.claim)) ? latest.claim : undefined;
}

function socketPath(dir: string, id: string): string {
  if (process.platform === 'win32') return `\\\\.\\pipe\\tiffin-${id}`;
  const name = `${id.slice(0, 8)}.sock`;
  // Relative where it fits, so that a data directory mounted elsewhere finds it too.
  return Buffer.byteLength(path.join(dir, name)) <= MAX_SOCKET_PATH
    ? name
    : path.join(os.tmpdir(), `tiffin-${name}`);
}

function listen(socket: string): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((connection) => connection.destroy());
    server.once('error', reject);
    server.listen(socket, () => {
      server.off('error', reject);
      server.unref();
      resolve(server);
    });
  });
}

function isAlive(dir: string, claim: Claim): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const connection = net.connect(path.resolve(dir, claim.socket));
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else if (error.code === 'EAGAIN')
        resolve(true); // a stopped holder whose backlog is full
      else reject(error);
    });
  });
}

async function claimNumbers(dir: string, name: string): Promise<number[]> {
  const files = await fs.readdir(dir).catch(() => []);
  return files
    .filter((file) => file.startsWith(`${name}.`))
    .map((file) => Number(file.slice(name.length + 1)))
    .filter((number) => Number.isSafeInteger(number) && number > 0)
    .sort((a, b) => b - a);
}

async function latestClaim(dir: string, name: string): Promise<{ number: number; claim: Claim } | undefined> {
  for (;;) {
    const [number] = await claimNumbers(dir, name);
    if (number === undefined) return undefined;
    const text = await fs.readFile(path.join(dir, `${name}.${number}`), 'utf8').catch(() => undefined);
    if (text !== undefined) return { number, claim: JSON.parse(text) as Claim };
  }
}

/** Creates the file with its whole content, or returns false when it exists. */
async function createWhole(file: string, content: string): Promise<boolean> {
  const draft = `${file}-${randomUUID()}`;
  await fs.writeFile(draft, content);
  try {
    await fs.link(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await fs.rm(draft, { force: true });
  }
}

async function removeOlder(dir: string, name: string, number: number): Promise<void> {
  for (const older of await claimNumbers(dir, name)) {
    if (older >= number) continue;
    const file = path.join(dir, `${name}.${older}`);
    const text = await fs.readFile(file, 'utf8').catch(() => undefined);
    await fs.rm(file, { force: true });
    if (text && process.platform !== 'win32') {
      await fs.rm(path.resolve(dir, (JSON.parse(text) as Claim).socket), { force: true });
    }
  }
}
