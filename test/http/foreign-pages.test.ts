/** Without authentication, a web page that is open in a browser on this machine must not act on the server or read from it. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { readConfig } from '../../cmd/config.ts';
import { type Running, run } from '../../cmd/run.ts';
import { schedulerWorker } from '../../cmd/services/scheduler-worker.ts';
import { wire } from '../../cmd/wire.ts';
import { recordingLog } from '../support/recording-log.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { send } from './api.ts';

type Headers = Readonly<Record<string, string>>;
const running: { own?: Running; proxied?: Running } = {};
const drop: (() => Promise<unknown>)[] = [];

/** Starts the scheduler's routes without its loops, as `tiffin scheduler-worker` does with this setting. */
async function start(AUTH: string): Promise<Running> {
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  drop.push(database.drop, redis.drop);
  const servers = { DATABASE_URL: database.url, REDIS_URL: redis.url };
  const wiring = await wire({ ...readConfig({ PORT: '0', AUTH, ...servers }), ...servers }, recordingLog());
  const { name, needs, routes = [] } = schedulerWorker(wiring);
  return run([{ name, needs, routes }], wiring);
}

before(async () => {
  running.own = await start('');
  running.proxied = await start('off');
});
after(async () => {
  for (const one of Object.values(running)) await one.stop();
  for (const server of drop) await server();
});

async function ask(method: string, path: string, headers: Headers, which: keyof typeof running = 'own') {
  return send(Number(new URL(running[which]!.url).port), method, path, { headers });
}

const FOREIGN: Readonly<Record<string, Headers>> = {
  'a foreign Host': { host: 'evil.example' },
  'a foreign Host that begins with localhost': { host: 'localhost.evil.example:8080' },
  'a foreign Host with a same-origin page': {
    host: 'evil.example:8080',
    origin: 'http://evil.example:8080',
    'sec-fetch-site': 'same-origin',
  },
  'a cross-site page': { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
  'a page of another port of this machine': { 'sec-fetch-site': 'same-site' },
  'a foreign Origin': { origin: 'https://evil.example' },
  'an Origin of another port': { host: 'localhost:8080', origin: 'http://localhost:3000' },
  'an opaque Origin': { origin: 'null' },
};
for (const [what, headers] of Object.entries(FOREIGN))
  test(`a request with ${what} is refused, and changes nothing`, async () => {
    for (const [method, path] of [
      ['GET', '/scheduler'],
      ['POST', '/scheduler/pause'],
    ] as const) {
      const { status, body } = await ask(method, path, headers);
      assert.deepEqual([status, body.errors?.[0]?.code], [403, 'FORBIDDEN'], path);
    }
    assert.notEqual((await ask('GET', '/scheduler', {})).body.state, 'paused');
  });

for (const [what, head] of [
  ['its target', 'GET http://evil.example/scheduler HTTP/1.1\r\nHost: localhost'],
  ['a second Host', 'GET /scheduler HTTP/1.1\r\nHost: localhost\r\nHost: evil.example'],
] as const)
  test(`a request that names another server in ${what} is refused`, async () => {
    const socket = connect(Number(new URL(running.own!.url).port), '127.0.0.1');
    socket.end(`${head}\r\nConnection: close\r\n\r\n`);
    assert.match((await socket.setEncoding('utf8').toArray()).join(''), /^HTTP\/1\.1 403 /);
  });

const OWN: Readonly<Record<string, Headers>> = {
  'no browser headers': {},
  'localhost as its Host': { host: 'localhost:8080' },
  'localhost in capitals': { host: 'LOCALHOST' },
  'another loopback address as its Host': { host: '127.1.2.3:1' },
  'the IPv6 loopback address as its Host': { host: '[::1]:8080' },
  'the headers of the own page': {
    host: 'localhost:8080',
    origin: 'http://localhost:8080',
    'sec-fetch-site': 'same-origin',
  },
  'the headers of the own page in an older browser': {
    host: 'localhost:8080',
    origin: 'http://localhost:8080',
  },
  'the headers of an address that the user typed': { 'sec-fetch-site': 'none' },
};
for (const [what, headers] of Object.entries(OWN))
  test(`a request with ${what} is answered`, async () => {
    assert.equal((await ask('GET', '/scheduler', headers)).status, 200);
  });

test('with AUTH=off any Host and Origin is answered, and only a cross-site page is refused', async () => {
  const behindProxy = { host: 'orders.example', origin: 'https://shop.example' };
  assert.equal((await ask('GET', '/scheduler', behindProxy, 'proxied')).status, 200);
  const crossSite = { ...behindProxy, 'sec-fetch-site': 'cross-site' };
  assert.equal((await ask('POST', '/scheduler/pause', crossSite, 'proxied')).status, 403);
});

test('a link from another site may lead to the probes', async () => {
  assert.equal((await ask('GET', '/livez', { 'sec-fetch-site': 'cross-site' })).status, 200);
});
