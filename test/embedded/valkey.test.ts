/** Valkey as WebAssembly, as Tiffin runs it, answers promptly and completely, whatever its clients do. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';

const LIMIT = { timeout: 180_000 };
let server: ChildProcess;
let port: number;
let redis: Redis;

before(async () => {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  port = (probe.address() as net.AddressInfo).port;
  probe.close();
  await once(probe, 'close');
  server = fork(fileURLToPath(import.meta.resolve('../../cmd/embedded/valkey.ts')), [String(port)], {
    execArgv: ['--no-warnings', '--import', import.meta.resolve('tsx')],
    silent: true,
  });
  await once(server, 'message');
  redis = client();
});

after(async () => {
  redis.disconnect();
  const exited = once(server, 'exit');
  server.disconnect(); // as when the keeper is killed
  await exited;
});

function client(): Redis {
  const redis = new Redis(port, '127.0.0.1', { retryStrategy: () => 30, maxRetriesPerRequest: null });
  redis.on('error', () => {});
  return redis;
}

test('a single client is answered at once, not at the next timer', LIMIT, async () => {
  const startedAt = performance.now();
  for (let i = 0; i < 1_000; i += 1) await redis.set('lone', i);
  const each = (performance.now() - startedAt) / 1_000;
  assert.ok(each < 5, `${each.toFixed(2)} ms a command`);
});

test('a pipeline of 50,000 commands is answered completely and in order', LIMIT, async () => {
  const pipeline = redis.pipeline();
  for (let i = 0; i < 50_000; i += 1) pipeline.echo(String(i));
  const answers = await pipeline.exec();
  assert.equal(answers!.length, 50_000);
  answers!.forEach(([error, value], i) => {
    assert.equal(error, null);
    assert.equal(value, String(i));
  });
});

test('a reply of many megabytes arrives completely and without waiting for the timer', LIMIT, async () => {
  const members = Array.from({ length: 200_000 }, (_, i) => `order:${i}`);
  for (let i = 0; i < members.length; i += 10_000) {
    await redis.call(
      'ZADD',
      'many',
      ...members.slice(i, i + 10_000).flatMap((member, j) => [String(i + j), member]),
    );
  }
  const startedAt = performance.now();
  assert.deepEqual(await redis.zrange('many', '0', '-1'), members);
  assert.ok(performance.now() - startedAt < 5_000);
  const big = 'x'.repeat(16 << 20);
  await redis.set('big', big);
  assert.equal(await redis.get('big'), big);
});

test('a script sees the same clock as this machine and runs by its digest', LIMIT, async () => {
  const digest = (await redis.script('LOAD', "return redis.call('TIME')")) as string;
  await redis.evalsha(digest, 0);
  const before = Date.now();
  const [seconds, micros] = (await redis.evalsha(digest, 0)) as [string, string];
  const theirs = Number(seconds) * 1_000 + Number(micros) / 1_000;
  assert.ok(before - 5 <= theirs && theirs <= Date.now() + 5, `${theirs - before} ms from ours`);
  await assert.rejects(redis.eval("return redis.call('NOSUCH')", 0), /Unknown/);
});

test('many clients are served side by side, and a blocked one is woken', LIMIT, async () => {
  const clients = Array.from({ length: 20 }, client);
  const blocked = client();
  const popped = blocked.blpop('list', 20);
  await Promise.all(
    clients.map(async (each) => {
      for (let i = 0; i < 200; i += 1) await each.incr('together');
    }),
  );
  assert.equal(await redis.get('together'), '4000');
  await redis.rpush('list', 'woken');
  assert.deepEqual(await popped, ['list', 'woken']);
  for (const each of [...clients, blocked]) each.disconnect();
});

test(
  'clients that disconnect in the middle of a reply are removed and disturb no other client',
  LIMIT,
  async () => {
    await redis.set('page', 'x'.repeat(8 << 20));
    for (let i = 0; i < 10; i += 1) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write('GET page\r\nGET page\r\n');
      await once(socket, 'data');
      socket.destroy();
    }
    for (;;) {
      const info = await redis.info('clients');
      if (info.includes('connected_clients:1\r')) break;
    }
    assert.equal(await redis.strlen('page'), 8 << 20);
  },
);

test('an idle server uses almost no processor time', {
  ...LIMIT,
  skip: !fs.existsSync('/proc/self/stat'),
}, async () => {
  const ticks = () => {
    const fields = fs.readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(' ');
    return Number(fields[13]) + Number(fields[14]); // hundredths of a second, in and out of the kernel
  };
  const idle = client();
  await idle.ping();
  const started = ticks();
  const blocked = idle.blpop('never', 2); // two idle seconds by the server's own clock
  await blocked;
  assert.ok(ticks() - started < 30, `${ticks() - started} ticks in two seconds`);
  idle.disconnect();
});
