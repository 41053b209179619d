/** Embedded servers whose program, keeper and servers are real processes that are stopped and killed in turn. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { holderOf } from '../../cmd/embedded/lock.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';
import {
  assertBothAnswer,
  columnOf,
  dataDir,
  exists,
  kill,
  pidsOf,
  ping,
  processesIn,
  query,
  root,
  running,
  start,
  stop,
} from './programs.ts';

const LIMIT = { timeout: 120_000 };
const asRoot = { ...LIMIT, skip: process.getuid?.() !== 0 && 'only root runs Postgres as another user' };
const NOBODY = { uid: 65_534, gid: 65_534 };

for (const redisKind of hasNativeRedis() ? (['wasm', 'native'] as const) : (['wasm'] as const)) {
  test(
    `the first start gives a working Postgres and Redis (${redisKind}), and stopping it leaves no process`,
    LIMIT,
    async () => {
      const dir = path.join(root, `new-${redisKind}`);
      const program = start({ dataDir: dir, redisKind });
      await assertBothAnswer(await program.up);
      const { keeper } = pidsOf(dir);
      await stop(program);
      assert.deepEqual(running(dir), []);
      assert.equal(exists(keeper), false);
      assert.equal(holderOf(dir), undefined);
    },
  );

  for (const name of ['postgres', 'redis'] as const) {
    test(
      `the program is told when the ${name} of a pair with Redis (${redisKind}) is killed, and no server is left`,
      LIMIT,
      async () => {
        const dir = await dataDir();
        const program = start({ dataDir: dir, redisKind });
        const { databaseUrl } = await program.up;
        await query(databaseUrl, 'CREATE TABLE stored AS SELECT 7 AS n');
        process.kill(pidsOf(dir)[name], 'SIGKILL');
        assert.match(
          await program.failed,
          new RegExp(`^The embedded ${name} has ended \\(killed by SIGKILL\\)\\.$`, 'i'),
        );
        await program.exited;
        assert.deepEqual(running(dir), []);
        const again = await start({ dataDir: dir, redisKind }).up;
        assert.deepEqual(await query(again.databaseUrl, 'SELECT n FROM stored'), [{ n: 7 }]);
      },
    );
  }

  test(
    `the program is told when the keeper is killed, and ends the servers (Redis: ${redisKind})`,
    LIMIT,
    async () => {
      const dir = await dataDir();
      const program = start({ dataDir: dir, redisKind });
      await program.up;
      process.kill(pidsOf(dir).keeper, 'SIGKILL');
      assert.match(await program.failed, /^The keeper of the embedded servers has ended \(SIGKILL\)\.$/);
      await program.exited;
      assert.deepEqual(running(dir), []);
    },
  );

  test(
    `the servers end when the program is killed, and another program may start at once (Redis: ${redisKind})`,
    LIMIT,
    async () => {
      const dir = await dataDir();
      const first = start({ dataDir: dir, redisKind });
      await first.up;
      const before = pidsOf(dir);
      await kill(first);
      const second = start({ dataDir: dir, redisKind });
      await assertBothAnswer(await second.up);
      for (const pid of Object.values(before)) assert.equal(exists(pid), false);
      await kill(second);
      await until('the servers to end', () => running(dir).length === 0);
    },
  );

  test(
    `the next start ends the servers that a killed program and a killed keeper left (Redis: ${redisKind})`,
    LIMIT,
    async () => {
      const dir = await dataDir();
      const first = start({ dataDir: dir, redisKind });
      await first.up;
      const before = pidsOf(dir);
      process.kill(before.keeper, 'SIGKILL');
      await kill(first);
      await assertBothAnswer(await start({ dataDir: dir, redisKind }).up);
      for (const pid of Object.values(before)) assert.equal(exists(pid), false);
    },
  );

  test(
    `programs that start at the same instant each get a Redis (${redisKind}) of their own`,
    LIMIT,
    async () => {
      const dirs = Array.from({ length: 4 }, (_, i) => path.join(root, `twin-${redisKind}-${i}`));
      const urls = await Promise.all(
        dirs.map((dir) => start({ dataDir: dir, postgres: false, redisKind }).up),
      );
      assert.equal(new Set(urls.map(({ redisUrl }) => redisUrl)).size, 4);
      for (const { redisUrl } of urls) assert.equal(await ping(redisUrl), 'PONG');
    },
  );
}

test('the data directory can be used after its first initialisation was killed', LIMIT, async () => {
  const dir = path.join(root, 'half');
  const draft = () => fs.readdirSync(dir).find((name) => name.startsWith('postgres.init-'));
  const first = start({ dataDir: dir, redis: false });
  const initdb = await until('initdb to write', () => {
    const cluster = path.join(dir, (fs.existsSync(dir) && draft()) || 'none', 'cluster');
    return fs.existsSync(cluster) && fs.readdirSync(cluster).length > 3 ? processesIn(cluster)[0] : undefined;
  });
  process.kill(Number(columnOf('ppid', initdb)), 'SIGKILL');
  await kill(first);
  assert.ok(draft(), 'it was killed half-way');
  const { databaseUrl } = await start({ dataDir: dir, redis: false }).up;
  assert.deepEqual(await query(databaseUrl, 'SELECT 1 AS one'), [{ one: 1 }]);
  assert.equal(draft(), undefined);
});

test(
  'a second program on a data directory is refused, even while the first or its keeper is stopped',
  LIMIT,
  async () => {
    const dir = await dataDir();
    const first = start({ dataDir: dir });
    const urls = await first.up;
    const inUse = `The data directory ${dir} is in use by process ${first.process.pid}; stop it, or set DATA_DIR to another.`;
    await assert.rejects(start({ dataDir: dir }).up, { message: inUse });
    assert.deepEqual(holderOf(dir), { program: first.process.pid, ...urls });
    const { keeper } = pidsOf(dir);
    first.process.kill('SIGSTOP');
    await assert.rejects(start({ dataDir: dir }).up, { message: inUse });
    first.process.kill('SIGCONT');
    process.kill(keeper, 'SIGSTOP');
    await assert.rejects(start({ dataDir: dir }).up, { message: inUse });
    process.kill(keeper, 'SIGCONT');
    await assertBothAnswer(urls);
  },
);

test(
  'of eight starts at the same instant exactly one wins, on a fresh directory and on a stale one',
  LIMIT,
  async () => {
    const dir = path.join(root, 'race');
    for (let round = 0; round < 2; round += 1) {
      const all = Array.from({ length: 8 }, () => start({ dataDir: dir, postgres: false }));
      const results = await Promise.allSettled(all.map(({ up }) => up));
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
      for (const result of results)
        if (result.status === 'rejected') assert.match(result.reason.message, /is in use by/);
      await kill(all[results.findIndex(({ status }) => status === 'fulfilled')]!); // its keeper goes on for a moment
    }
    await until('the last server to end', () => running(dir).length === 0);
  },
);

test('a data directory with a long path is locked, too', LIMIT, async () => {
  const dir = path.join(root, 'x'.repeat(120));
  const first = start({ dataDir: dir, postgres: false });
  await first.up;
  await assert.rejects(start({ dataDir: dir, postgres: false }).up, /is in use by process/);
});

test('a start chooses another port when the usual one is in use', LIMIT, async () => {
  const stranger = net.createServer().listen(63_790, '127.0.0.1');
  await once(stranger, 'listening').catch(() => {}); // a port that another has already is as good
  const { redisUrl } = await start({ dataDir: path.join(root, 'ports'), postgres: false }).up;
  assert.notEqual(new URL(redisUrl).port, '63790');
  assert.equal(await ping(redisUrl), 'PONG');
  stranger.close();
});

test('a Ctrl-C in the terminal reaches the program but not its servers', LIMIT, async () => {
  const dir = await dataDir();
  const program = start({ dataDir: dir });
  await program.up;
  const own = columnOf('pgid', program.process.pid!);
  for (const pid of Object.values(pidsOf(dir))) assert.notEqual(columnOf('pgid', pid), own);
});

test(
  'the servers go on when the keeper gets a signal, because the program decides when they stop',
  LIMIT,
  async () => {
    const dir = await dataDir();
    const program = start({ dataDir: dir });
    const urls = await program.up;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.kill(pidsOf(dir).keeper, signal);
    await assertBothAnswer(urls);
  },
);

test('Postgres runs with durable commits and the documented settings', LIMIT, async () => {
  const { databaseUrl } = await start({ dataDir: await dataDir(), redis: false }).up;
  const expected = {
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    max_connections: '100',
    server_encoding: 'UTF8',
    listen_addresses: '127.0.0.1',
    shared_buffers: '256MB',
    max_wal_size: '2GB',
    TimeZone: 'UTC',
  };
  for (const [name, value] of Object.entries(expected))
    assert.deepEqual(Object.values((await query(databaseUrl, `SHOW ${name}`))[0] ?? {}), [value], name);
});

test(
  'root gives a closed data directory to the user of the servers, and refuses a directory behind a closed one by name',
  asRoot,
  async () => {
    const closed = path.join(root, 'closed');
    fs.mkdirSync(closed, { mode: 0o700 });
    const program = start({ dataDir: closed });
    await assertBothAnswer(await program.up);
    await stop(program);
    const home = path.join(root, 'home');
    fs.mkdirSync(home, { mode: 0o700 });
    await assert.rejects(
      start({ dataDir: path.join(home, 'data') }).up,
      /because \S*home is closed to it; set DATA_DIR/,
    );
  },
);

test('root keeps a directory that holds other files than data of Tiffin', asRoot, async () => {
  const dir = path.join(root, 'shared');
  fs.mkdirSync(dir, { mode: 0o700 });
  fs.writeFileSync(path.join(dir, 'letter.txt'), '');
  await assert.rejects(start({ dataDir: dir }).up, /shared is closed to it/);
  assert.equal(fs.statSync(dir).uid, 0);
});

test('data that belong to the user that an earlier version made can still be used', asRoot, async () => {
  const dir = await dataDir();
  const postgres = path.join(dir, 'postgres');
  for (const name of ['locks', 'logs']) fs.mkdirSync(path.join(dir, name));
  fs.writeFileSync(path.join(dir, 'embedded.json'), '{"ports":{"postgres":54320}}');
  for (const name of fs.readdirSync(postgres, { recursive: true, encoding: 'utf8' }))
    fs.chownSync(path.join(postgres, name), 4_321, 4_321); // a user without an entry in passwd
  fs.chownSync(postgres, 4_321, 4_321);
  await assertBothAnswer(await start({ dataDir: dir }).up);
  assert.equal(fs.statSync(postgres).uid, 4_321);
});

test('an ordinary user can run both servers, whatever its PG… and locale variables', asRoot, async () => {
  const dir = path.join(root, 'ordinary');
  fs.mkdirSync(dir);
  fs.chownSync(dir, NOBODY.uid, NOBODY.gid);
  const env = { ...process.env, HOME: '/nonexistent', PGUSER: 'misleading', LC_ALL: 'xx_YY' };
  const program = start({ dataDir: path.join(dir, 'data'), redisKind: 'auto' }, { ...NOBODY, env });
  await assertBothAnswer(await program.up);
});
