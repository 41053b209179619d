/** The container image and the compose file: nothing that others can reach is open to everyone by default. */
import assert from 'node:assert/strict';
import { execFileSync, execSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../embedded/checkout.ts';
import { request, runProgram, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LIMIT = { timeout: 120_000 };
const read = (file: string) => fs.readFileSync(path.join(ROOT, file), 'utf8');

/** The variables that the Dockerfile sets. */
function imageEnv(): Record<string, string> {
  const lines = [...read('Dockerfile').matchAll(/^ENV (.*)$/gm)].map(([, line]) => line as string);
  return Object.fromEntries(
    lines.flatMap((line) => line.split(/\s+/)).map((pair) => pair.split('=') as [string, string]),
  );
}

test(
  'the image listens for others, and does not start without a key or a word of the operator',
  LIMIT,
  async () => {
    const env = imageEnv();
    assert.equal(env.HOST, '0.0.0.0');
    const { code, stderr } = await runProgram({ ...env, PORT: '0' });
    assert.equal(code, 1);
    assert.match(stderr, /^tiffin: HOST is '0\.0\.0\.0', .*AUTH_JWT_SECRET.*AUTH=off[^\n]*\n$/);
  },
);

test('the image is built on a supported line of Node, and its program does not run as root', () => {
  const dockerfile = read('Dockerfile');
  assert.match(dockerfile, /^FROM node:24\./m);
  const afterUser = dockerfile.slice(dockerfile.lastIndexOf('\nUSER ') + 1);
  assert.match(afterUser, /^USER node\n/);
  assert.match(afterUser, /\nENTRYPOINT /);
  assert.doesNotMatch(afterUser, /^(RUN|COPY|ADD) /m);
});

test('every image that is not built here has a version and a digest', () => {
  const images = [
    ...[...read('Dockerfile').matchAll(/^FROM +(\S+)/gm)].map(([, image]) => image as string),
    ...[...read('docker-compose.yml').matchAll(/^ +image: +(\S+)$/gm)].map(([, image]) => image as string),
  ].filter((image) => !['tiffin', 'base'].includes(image));
  assert.equal(images.length, 4);
  for (const image of images) assert.match(image, /^[a-z/]+:\d+(\.\d+)+[a-z-]*@sha256:[0-9a-f]{64}$/);
});

test('every Tiffin of the compose file has the secret that its service `key` makes, and a token of it is accepted', {
  ...LIMIT,
}, async (t) => {
  const compose = read('docker-compose.yml');
  const [, shared = ''] = /^x-tiffin: &tiffin\n((?: {2}.*\n|\n)+)/m.exec(compose) ?? [];
  assert.match(shared, /AUTH_JWT_SECRET_FILE: \/key\/secret/);
  assert.match(shared, /key: \{ condition: service_completed_successfully \}/);
  assert.doesNotMatch(compose, /AUTH: *off|AUTH=off/);

  const file = path.join(temporaryDirectory(0o755), 'secret');
  const [, makeKey = ''] = /entrypoint: \["sh", "-c", "(.*)"\]/.exec(compose) ?? [];
  const make = () => execSync(makeKey.replaceAll('/key/secret', file), { stdio: 'pipe' });
  make();
  const secret = fs.readFileSync(file, 'utf8');
  make();
  assert.equal(fs.readFileSync(file, 'utf8'), secret, 'a secret that exists is kept');

  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  t.after(() => Promise.all([database.drop(), redis.drop()]));
  const env = { AUTH_JWT_SECRET_FILE: file, DATABASE_URL: database.url, REDIS_URL: redis.url };
  const program = await startProgram({ ...imageEnv(), ...env, PORT: '0' }, ['scheduler-worker']);
  t.after(() => program.stop());
  const url = `http://127.0.0.1:${new URL(program.url).port}/scheduler`;
  assert.equal((await request('GET', url)).status, 401);
  const token = execFileSync(process.execPath, ['--import', 'tsx', 'cmd/token.ts', 'operator'], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  }).trim();
  assert.equal((await request('GET', url, undefined, { authorization: `Bearer ${token}` })).status, 200);
});
