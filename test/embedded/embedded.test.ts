/** The embedded servers, tried with real processes that die in every way they can. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { serversIn } from '../../cmd/embedded/processes.ts';
import { type EmbeddedRecord, readRecord } from '../../cmd/embedded/record.ts';
import { type EmbeddedOptions, findRunning, startEmbedded } from '../../cmd/embedded/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';

type Options = Partial<Omit<EmbeddedOptions, 'onEvent'>> & { dataDir: string };
type Event = { level: string; msg: string; [field: string]: unknown };
type Urls = { databaseUrl: string; redisUrl: string };

interface Program {
  process: ChildProcess;
  events: Event[];
  /** Its URLs, or a rejection with its own words. */
  up: Promise<Urls>;
  exited: Promise<unknown>;
}

const LIMIT = { timeout: 180_000 };
const programs: Program[] = [];
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-embedded-'));
fs.chmodSync(root, 0o755);
let directories = 0;

/** A data directory that is copied from an initialised one unless it shall be new, which saves an initdb a test. */
async function dataDir(): Promise<string> {
  directories += 1;
  const dir = path.join(root, `data${directories}`);
  const template = await initialised();
  fs.mkdirSync(dir);
  execFileSync('cp', ['-a', path.join(template, 'postgres'), dir]);
  return dir;
}

let template: Promise<string> | undefined;
function initialised(): Promise<string> {
  template ??= (async () => {
    const dir = path.join(root, 'template');
    const servers = await startEmbedded({ dataDir: dir, postgres: true, redis: false, onEvent: () => {} });
    await servers.stop();
    return dir;
  })();
  return template;
}

function start(options: Options): Program {
  const full = { postgres: true, redis: true, redisKind: 'wasm', ...options };
  const child = fork(fileURLToPath(import.meta.resolve('./program.ts')), [JSON.stringify(full)], {
    execArgv: ['--import', import.meta.resolve('tsx')],
    cwd: '/',
  });
  const events: Event[] = [];
  const up = new Promise<Urls>((resolve, reject) => {
    child.on('message', (message: { event?: Event; up?: Urls; refused?: string; inUse?: boolean }) => {
      if (message.event) events.push(message.event);
      if (message.up) resolve(message.up);
      if (message.refused) reject(Object.assign(new Error(message.refused), { inUse: message.inUse }));
    });
    child.once('exit', () => reject(new Error('the program ended')));
  });
  up.catch(() => {});
  const program = { process: child, events, up, exited: once(child, 'exit') };
  programs.push(program);
  return program;
}

async function stop(program: Program): Promise<void> {
  program.process.kill('SIGTERM');
  await program.exited;
}

async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  limitMs = 20_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await attempt(probe);
    if (value) return value;
    assert.ok(performance.now() < deadline, `waited in vain until ${what}`);
    await pause(20);
  }
}

async function attempt<T>(probe: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await probe();
  } catch {
    return undefined;
  }
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function ping(url: string): Promise<string> {
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: null });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return await redis.ping();
  } finally {
    redis.disconnect();
  }
}

const bothAnswer = async (urls: Urls) =>
  (await query(urls.databaseUrl, 'SELECT 1 AS one'))[0]?.one === 1 && (await ping(urls.redisUrl)) === 'PONG';

const pidsOf = (dir: string) => readRecord(dir).pids as Required<NonNullable<EmbeddedRecord['pids']>>;
const running = (dir: string) => [
  ...serversIn(path.join(dir, 'postgres')),
  ...serversIn(path.join(dir, 'redis')),
];

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

afterEach(async () => {
  for (const program of programs.splice(0)) {
    if (program.process.exitCode === null && program.process.signalCode === null) await stop(program);
  }
});

after(async () => {
  const left = fs.readdirSync(root).flatMap((name) => running(path.join(root, name)));
  fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  assert.deepEqual(left, [], 'servers were left running');
});

for (const redisKind of hasNativeRedis() ? (['wasm', 'native'] as const) : (['wasm'] as const)) {
  test(
    `a first start gives a working Postgres and Redis (${redisKind}), and stopping leaves nothing`,
    LIMIT,
    async () => {
      const dir = path.join(root, `new-${redisKind}`);
      const program = start({ dataDir: dir, redisKind });
      const urls = await program.up;
      assert.ok(await bothAnswer(urls));
      const pids = pidsOf(dir);
      assert.equal(pids.program, program.process.pid);
      for (const pid of Object.values(pids)) assert.ok(exists(pid), `pid ${pid} of the record lives`);
      const before = performance.now();
      await stop(program);
      assert.ok(performance.now() - before < 10_000);
      for (const pid of Object.values(pids)) assert.ok(!exists(pid), `pid ${pid} is gone`);
      assert.deepEqual(running(dir), []);
      assert.deepEqual(
        program.events.filter((event) => event.level !== 'info'),
        [],
      );
    },
  );

  test(`a Redis (${redisKind}) and a Postgres that are killed come back on their ports`, LIMIT, async () => {
    const dir = await dataDir();
    const program = start({ dataDir: dir, redisKind });
    const urls = await program.up;
    const { postgres, redis } = pidsOf(dir);
    await query(urls.databaseUrl, 'CREATE TABLE kept AS SELECT 7 AS n');
    process.kill(postgres, 'SIGKILL');
    process.kill(redis, 'SIGKILL');
    await until('both answer again', () => !exists(postgres) && !exists(redis) && bothAnswer(urls));
    assert.deepEqual(await query(urls.databaseUrl, 'SELECT n FROM kept'), [{ n: 7 }]);
    const warned = program.events.filter((event) => event.level === 'warn').map((event) => event.msg);
    assert.ok(
      warned.some((msg) => msg.includes('postgres died')) && warned.some((msg) => msg.includes('redis died')),
    );
    await until(
      'the record has the new pids',
      () => pidsOf(dir).postgres !== postgres && pidsOf(dir).redis !== redis,
    );
  });

  test(
    `a killed keeper is replaced, and its orphans (${redisKind}) with it, on the same URLs`,
    LIMIT,
    async () => {
      const dir = await dataDir();
      const program = start({ dataDir: dir, redisKind });
      const urls = await program.up;
      await query(urls.databaseUrl, 'CREATE TABLE kept AS SELECT 7 AS n');
      const before = pidsOf(dir);
      process.kill(before.keeper, 'SIGKILL');
      await until(
        'a new keeper serves',
        async () => pidsOf(dir).keeper !== before.keeper && (await bothAnswer(urls)),
      );
      await until('the orphans are gone', () => !exists(before.postgres) && !exists(before.redis));
      assert.deepEqual(await query(urls.databaseUrl, 'SELECT n FROM kept'), [{ n: 7 }]);
      await stop(program);
      assert.deepEqual(running(dir), []);
    },
  );

  test(
    `a program that is killed takes its servers (${redisKind}) along, and one started at once gets the same URLs`,
    LIMIT,
    async () => {
      const dir = await dataDir();
      const first = start({ dataDir: dir, redisKind });
      const urls = await first.up;
      const before = pidsOf(dir);
      first.process.kill('SIGKILL');
      await first.exited;
      const second = start({ dataDir: dir, redisKind });
      assert.deepEqual(await second.up, urls);
      assert.ok(await bothAnswer(urls));
      await until('the old keeper is gone', () => !exists(before.keeper));
      second.process.kill('SIGKILL');
      await until('nothing is left', () => running(dir).length === 0);
    },
  );
}

test(
  'a program and its keeper killed together leave orphans that the next start takes over',
  LIMIT,
  async () => {
    const dir = await dataDir();
    const redisKind = hasNativeRedis() ? 'native' : 'wasm';
    const first = start({ dataDir: dir, redisKind });
    const urls = await first.up;
    const before = pidsOf(dir);
    process.kill(before.keeper, 'SIGKILL');
    first.process.kill('SIGKILL');
    await first.exited;
    fs.rmSync(path.join(dir, 'embedded.json')); // the orphans are found without it, and the usual ports are free
    const second = start({ dataDir: dir, redisKind });
    const again = await second.up;
    assert.ok(await bothAnswer(again));
    assert.ok(!exists(before.postgres) && !exists(before.redis));
    assert.ok(urls.databaseUrl && again.databaseUrl);
  },
);

test('a killed first initialisation does not spoil the data directory', LIMIT, async () => {
  const dir = path.join(root, 'half');
  const draft = () => fs.readdirSync(dir).find((name) => name.startsWith('postgres.init-'));
  const first = start({ dataDir: dir, redis: false });
  const keeper = await until('initdb writes', () => {
    const name = draft();
    const written = name ? fs.readdirSync(path.join(dir, name, 'cluster')).length : 0;
    return written > 3 ? keeperPid(dir) : undefined;
  });
  process.kill(keeper, 'SIGKILL');
  first.process.kill('SIGKILL');
  await first.exited;
  assert.ok(draft(), 'it was killed half-way');
  const second = start({ dataDir: dir, redis: false });
  const { databaseUrl } = await second.up;
  assert.deepEqual(await query(databaseUrl, 'SELECT 1 AS one'), [{ one: 1 }]);
  assert.equal(draft(), undefined);
});

/** The pid in the keeper's lock claim: while it starts there is no record yet. */
function keeperPid(dir: string): number | undefined {
  const claim = fs.readdirSync(path.join(dir, 'locks')).find((name) => /^keeper\.\d+$/.test(name));
  if (!claim) return undefined;
  return JSON.parse(fs.readFileSync(path.join(dir, 'locks', claim), 'utf8')).pid;
}

test(
  'a second program on the same directory is refused at once, with the URLs it could share',
  LIMIT,
  async () => {
    const dir = await dataDir();
    const first = start({ dataDir: dir });
    const urls = await first.up;
    const before = performance.now();
    await assert.rejects(
      startEmbedded({ dataDir: dir, postgres: true, redis: true, onEvent: () => {} }),
      (error: Error) => {
        assert.equal(error.name, 'DataDirInUse');
        for (const part of [dir, `process ${first.process.pid}`, urls.databaseUrl, urls.redisUrl]) {
          assert.ok(error.message.includes(part), `${part} in: ${error.message}`);
        }
        return true;
      },
    );
    assert.ok(performance.now() - before < 1_000);
    assert.deepEqual(await findRunning(dir), urls);
    first.process.kill('SIGSTOP'); // one that hangs is alive all the same
    await assert.rejects(
      startEmbedded({ dataDir: dir, postgres: true, redis: true, onEvent: () => {} }),
      /in use/,
    );
    first.process.kill('SIGCONT');
    await stop(first);
    assert.equal(await findRunning(dir), undefined);
  },
);

test(
  'of eight starts at the same instant exactly one wins, on a fresh directory and on a stale one',
  LIMIT,
  async () => {
    const dir = path.join(root, 'race');
    const options = { dataDir: dir, postgres: false, redis: true };
    for (let round = 0; round < 2; round += 1) {
      const all = Array.from({ length: 8 }, () => start(options));
      const results = await Promise.allSettled(all.map((program) => program.up));
      assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
      for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.inUse, true);
      const winner = all[results.findIndex((result) => result.status === 'fulfilled')]!;
      winner.process.kill('SIGKILL'); // leaves its claim and record behind
      await winner.exited;
    }
    await until('the last keeper is gone', () => running(dir).length === 0);
  },
);

test('a record and a claim with the pid of a living stranger do not block', LIMIT, async () => {
  const dir = await dataDir();
  fs.mkdirSync(path.join(dir, 'locks'));
  const stranger = { id: 'old', pid: process.pid, socket: 'gone.sock' };
  fs.writeFileSync(path.join(dir, 'locks', 'owner.4'), JSON.stringify(stranger));
  fs.writeFileSync(
    path.join(dir, 'embedded.json'),
    JSON.stringify({ owner: 'old', ports: {}, databaseUrl: 'postgres://x' }),
  );
  fs.writeFileSync(
    path.join(dir, 'postgres', 'postmaster.pid'),
    `${process.pid}\n${dir}/postgres\n1\n1\n\n\n\nready\n`,
  );
  assert.equal(await findRunning(dir), undefined);
  assert.ok(await bothAnswer(await start({ dataDir: dir }).up));
});

test('the port used last is preferred, and one taken by another program is left to it', LIMIT, async () => {
  const dir = path.join(root, 'ports');
  const stranger = net.createServer().listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  const { port } = stranger.address() as net.AddressInfo;
  const record = JSON.stringify({ ports: { redis: port } });
  fs.mkdirSync(dir);
  fs.writeFileSync(path.join(dir, 'embedded.json'), record);
  const elsewhere = start({ dataDir: dir, postgres: false });
  const { redisUrl } = await elsewhere.up;
  assert.notEqual(new URL(redisUrl).port, String(port));
  assert.equal(await ping(redisUrl), 'PONG');
  await stop(elsewhere);

  stranger.close();
  await once(stranger, 'close');
  fs.writeFileSync(path.join(dir, 'embedded.json'), record);
  const preferred = start({ dataDir: dir, postgres: false });
  assert.equal(new URL((await preferred.up).redisUrl).port, String(port));
});

for (const redisKind of hasNativeRedis() ? (['wasm', 'native'] as const) : (['wasm'] as const)) {
  test(
    `programs that choose the same ports at the same instant each get servers (${redisKind}) of their own`,
    LIMIT,
    async () => {
      const dirs = Array.from({ length: 4 }, (_, i) => path.join(root, `twin-${redisKind}-${i}`));
      const urls = await Promise.all(
        dirs.map((dir) => start({ dataDir: dir, postgres: false, redisKind }).up),
      );
      assert.equal(new Set(urls.map((each) => each.redisUrl)).size, 4);
      for (const each of urls) assert.equal(await ping(each.redisUrl), 'PONG');
    },
  );
}

test('Ctrl-C in the terminal reaches the program but not its servers', LIMIT, async () => {
  const dir = await dataDir();
  const program = start({ dataDir: dir });
  await program.up;
  const group = (pid: number) =>
    spawnSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
  const pids = pidsOf(dir);
  const own = group(pids.program);
  for (const pid of [pids.keeper, pids.postgres, pids.redis]) assert.notEqual(group(pid), own);
});

test('Postgres keeps what it committed and is set up as promised', LIMIT, async () => {
  const { databaseUrl } = await start({ dataDir: await dataDir(), redis: false }).up;
  const setting = async (name: string) => (await query(databaseUrl, `SHOW ${name}`))[0]?.[name];
  const expected = {
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    max_connections: '100',
    server_encoding: 'UTF8',
    listen_addresses: '127.0.0.1',
    shared_buffers: '256MB',
    max_wal_size: '2GB',
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(await setting(name), value, name);
  assert.equal(await setting('TimeZone'), 'UTC');
});

test('a data directory that the Postgres user cannot reach is refused in a sentence that names the obstacle', {
  ...LIMIT,
  skip: process.getuid?.() !== 0 && 'only root runs Postgres as another user',
}, async () => {
  const closed = path.join(root, 'closed');
  fs.mkdirSync(closed, { mode: 0o700 });
  await assert.rejects(start({ dataDir: path.join(closed, 'data') }).up, /closed is closed to it/);
});

test('an ordinary user can run everything', {
  ...LIMIT,
  skip: process.getuid?.() !== 0 && 'this run is already one of an ordinary user',
}, async () => {
  const dir = path.join(root, 'ordinary');
  fs.mkdirSync(dir);
  fs.chownSync(dir, 65534, 65534);
  const script = fileURLToPath(import.meta.resolve('./program.ts'));
  const options = { dataDir: path.join(dir, 'data'), postgres: true, redis: true, redisKind: 'auto' };
  const child = fork(script, [JSON.stringify(options)], {
    execArgv: ['--import', import.meta.resolve('tsx')],
    cwd: '/',
    uid: 65534,
    gid: 65534,
    env: { ...process.env, HOME: '/nonexistent', PGUSER: 'misleading', LC_ALL: 'xx_YY' },
  });
  const exited = once(child, 'exit');
  const urls = await new Promise<Urls>((resolve, reject) => {
    child.on('message', (message: { up?: Urls; refused?: string }) => {
      if (message.up) resolve(message.up);
      if (message.refused) reject(new Error(message.refused));
    });
  });
  assert.ok(await bothAnswer(urls));
  child.kill('SIGTERM');
  await exited;
  assert.deepEqual(running(options.dataDir), []);
});
