/** `npm start` serves an order in every place where a checkout can be, for root and for an ordinary user. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import {
  type Circumstances,
  type Env,
  type Program,
  reaches,
  request,
  startProgram,
} from '../support/program.ts';
import { checkoutAt, ownPostgres, removeAfterwards, temporaryDirectory } from './checkout.ts';

const LIMIT = { timeout: 120_000 };
const NOBODY = { uid: 65_534, gid: 65_534 };
const isRoot = process.getuid?.() === 0;
const asRoot = { ...LIMIT, skip: !isRoot && 'only root can do this' };
/** An ordinary user: this one, unless it is root. */
const ORDINARY = isRoot ? NOBODY : {};
const mayMount = isRoot && spawnSync('unshare', ['-m', 'true']).status === 0;

const running: Program[] = [];
afterEach(() => Promise.all(running.splice(0).map((program) => program.stop())));

/** Starts the checkout as `npm start` does. Its data directory is removed after the tests. */
async function start(cwd: string, env: Env = {}, circumstances: Circumstances = {}) {
  const program = await startProgram({ EMBEDDED_REDIS: 'wasm', ...env }, [], { cwd, ...circumstances });
  running.push(program);
  const says = 'the embedded servers keep their data in ';
  const line = program.log.find(({ msg }) => msg.startsWith(says));
  const dataDir = line?.msg.slice(says.length) as string;
  removeAfterwards(dataDir);
  return { ...program, dataDir, reason: line?.reason };
}

async function serveOrder({ url }: Program, id: string): Promise<void> {
  const placed = await request('POST', `${url}/orders`, { id, customer_name: 'Asha', total_price: 500 });
  assert.equal(placed.status, 201);
  await reaches(url, id, 'COMPLETED');
}

/** Serves an order, restarts, and expects the order still to be there. */
async function serveAndRestart(cwd: string, env: Env = {}, circumstances: Circumstances = {}) {
  const first = await start(cwd, env, circumstances);
  await serveOrder(first, 'order-1');
  assert.equal(await first.stop(), 0);
  const second = await start(cwd, env, circumstances);
  assert.equal(second.dataDir, first.dataDir);
  await reaches(second.url, 'order-1', 'COMPLETED');
  return second;
}

test('npm start works for root in a home that is closed to others', asRoot, async () => {
  const checkout = checkoutAt(path.join(temporaryDirectory(), 'tiffin'));
  const { dataDir, reason } = await serveAndRestart(checkout);
  assert.match(dataDir, /^\/var\/lib\/tiffin\/tiffin-[0-9a-f]{12}$/);
  assert.match(String(reason), /is closed to the user the servers run as/);
  assert.equal(fs.existsSync(path.join(checkout, 'data')), false);
});

test('npm start works for an ordinary user, and keeps the data in the checkout', LIMIT, async () => {
  const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'tiffin'));
  if (isRoot) fs.chownSync(checkout, NOBODY.uid, NOBODY.gid);
  const { dataDir, reason } = await serveAndRestart(checkout, {}, ORDINARY);
  assert.equal(dataDir, path.join(checkout, 'data'));
  assert.equal(reason, undefined);
});

test(
  'npm start works for root in the checkout of an ordinary user, who can go on with the same data',
  asRoot,
  async () => {
    const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'tiffin'));
    fs.chownSync(checkout, NOBODY.uid, NOBODY.gid);
    const first = await start(checkout);
    await serveOrder(first, 'order-1');
    await first.stop();
    const second = await start(checkout, {}, NOBODY);
    assert.equal(second.dataDir, path.join(checkout, 'data'));
    await reaches(second.url, 'order-1', 'COMPLETED');
  },
);

test('npm start works for an ordinary user in a read-only checkout', LIMIT, async () => {
  const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'tiffin'));
  fs.chmodSync(checkout, 0o555);
  const home = temporaryDirectory();
  if (isRoot) fs.chownSync(home, NOBODY.uid, NOBODY.gid);
  const { dataDir } = await serveAndRestart(checkout, { HOME: home }, ORDINARY);
  assert.match(dataDir.slice(home.length), /^\/\.local\/state\/tiffin\/tiffin-[0-9a-f]{12}$/);
});

test(
  'npm start asks an ordinary user without a home for DATA_DIR in a read-only checkout',
  LIMIT,
  async () => {
    const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'tiffin'));
    fs.chmodSync(checkout, 0o555);
    await assert.rejects(start(checkout, { HOME: '/dev/null' }, ORDINARY), /set DATA_DIR to another/);
  },
);

test('npm start works for root on a read-only file system', {
  ...LIMIT,
  skip: !mayMount && 'no file system can be mounted here',
}, async () => {
  const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'tiffin'));
  const mount = 'mount --bind . . && mount -o remount,ro,bind "$PWD" && cd "$PWD" && exec "$@"';
  const wrapper = ['unshare', '-m', 'sh', '-c', mount, 'sh'];
  fs.rmSync(path.join(checkout, 'web', 'dist'), { recursive: true });
  const { dataDir, reason, url } = await serveAndRestart(checkout, {}, { wrapper });
  assert.equal((await fetch(url)).status, 200, 'the pages are built, although they cannot be kept');
  assert.match(dataDir, /^\/var\/lib\/tiffin\//);
  assert.match(String(reason), /cannot be written/);
});

test('npm start works in a path with spaces and letters of other alphabets', LIMIT, async () => {
  const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'Más orders, ठीक है'));
  if (isRoot) fs.chownSync(checkout, NOBODY.uid, NOBODY.gid);
  const { dataDir } = await serveAndRestart(checkout, {}, ORDINARY);
  assert.equal(dataDir, path.join(checkout, 'data'));
});

test('npm start works behind a umask of 077, at the installation and at the start', LIMIT, async () => {
  const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'tiffin'));
  execFileSync('chmod', ['-R', 'go-rwx', ownPostgres(checkout)]);
  const wrapper = ['sh', '-c', 'umask 077; exec "$@"', 'sh'];
  const dataDir = path.join(checkout, 'a new directory', 'data');
  assert.equal((await serveAndRestart(checkout, { DATA_DIR: dataDir }, { wrapper })).dataDir, dataDir);
});

test('npm start works where npm ran no install scripts', LIMIT, async () => {
  const checkout = checkoutAt(path.join(temporaryDirectory(0o755), 'tiffin'));
  const postgres = ownPostgres(checkout);
  const list = JSON.parse(fs.readFileSync(path.join(postgres, 'native', 'pg-symlinks.json'), 'utf8'));
  for (const { target } of list) fs.rmSync(path.join(postgres, target));
  await serveAndRestart(checkout);
});

test('two clones that start at the same time each serve their own orders', LIMIT, async () => {
  const home = temporaryDirectory(isRoot ? 0o700 : 0o755);
  const clones = ['one', 'two'].map((name) => checkoutAt(path.join(home, name)));
  const programs = await Promise.all(clones.map((clone) => start(clone)));
  await Promise.all(programs.map((program) => serveOrder(program, 'order-1')));
  assert.notEqual(programs[0]?.dataDir, programs[1]?.dataDir);
});
