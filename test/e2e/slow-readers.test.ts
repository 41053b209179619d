/** A thousand live streams whose clients hardly read: nobody else notices, and they are cut off. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { bearer, SECRET } from '../http/tokens.ts';
import { request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

const STREAMS = 1_000;
const EACH = 50;
/** Views of the slow readers' order, of up to 8 kB each: more than the buffers of all connections hold. */
const CHANGES = 60;
const MOST_MB = 300;

/** An item that the catalogue has, a hundred times, so that the view is large. */
const LINES = Array.from({ length: 100 }, () => ({ itemId: 'sushi-set', quantity: 1, unitPrice: 1 }));

test('a thousand streams with slow readers keep nobody out, delay nobody, and are cut off', {
  timeout: 240_000,
  skip: process.platform !== 'linux',
}, async (t) => {
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  t.after(() => Promise.all([database.drop(), redis.drop()]));
  const program = await startProgram({
    ...{ DATABASE_URL: database.url, REDIS_URL: redis.url },
    ...{ AUTH_JWT_SECRET: SECRET, MAX_RESCHEDULES: '1000' },
  });
  t.after(() => program.kill());
  const desk = await bearer('desk', 'operator');
  for (const id of ['theirs', 'hers']) {
    const order = { id, customerId: 'asha', currency: 'USD', items: LINES, scheduledAt: later(0) };
    assert.equal((await request('POST', `${program.url}/orders`, order, desk)).status, 201);
  }
  const move = async (id: string, n: number) => {
    const body = { scheduledAt: later(n) };
    const { status } = await request('PATCH', `${program.url}/v1/orders/${id}/schedule`, body, desk);
    assert.equal(status, 200);
  };
  const before = megabytes(program.child.pid);

  const principals = Array.from({ length: STREAMS / EACH }, (_, n) => bearer(`slow-${n}`, 'operator'));
  const tokens = (await Promise.all(principals)).map(({ authorization }) => authorization.slice(7));
  const readers = spawn(
    'python3',
    [
      path.join(import.meta.dirname, 'slow-readers.py'),
      new URL(program.url).port,
      '/ui/orders/theirs/stream',
      ...tokens.flatMap((token) => Array<string>(EACH).fill(token)),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.after(() => readers.kill());
  const [said] = await Promise.race([once(readers.stdout, 'data'), once(readers, 'exit')]);
  assert.equal(String(said).trim(), 'open');

  // All places are taken; a customer gets one all the same, and her events while the others' pile up.
  const hers = await follow(`${program.url}/ui/orders/hers/stream`, await bearer('asha', 'customer'));
  t.after(() => hers.close());
  let largest = 0;
  for (let n = 1; n <= CHANGES; n++) {
    await move('theirs', n);
    if (n % 10 === 0) {
      await move('hers', n);
      await until('her event', () => hers.text().includes(later(n)), 10_000);
    }
    largest = Math.max(largest, megabytes(program.child.pid) - before);
  }
  assert.ok(largest < MOST_MB, `the process grew by ${largest} MB`);
  const isCut = () => connections(new URL(program.url).port) < STREAMS / 10;
  await until('the slow readers to be cut off', isCut, 90_000);
  await move('hers', CHANGES + 1);
  await until('her event', () => hers.text().includes(later(CHANGES + 1)), 10_000);

  const started = performance.now();
  assert.equal(await program.stop(), 0);
  assert.ok(performance.now() - started < 20_000, 'the program waited for slow readers');
  assert.deepEqual(
    program.log.filter(({ level }) => level === 'error'),
    [],
  );
});

function later(hours: number): string {
  return new Date(Date.UTC(2035, 0, 1, hours)).toISOString();
}

async function follow(url: string, headers: Record<string, string>) {
  const controller = new AbortController();
  const response = await fetch(url, { headers, signal: controller.signal });
  assert.equal(response.status, 200);
  let text = '';
  void (async () => {
    for await (const piece of response.body ?? []) text += Buffer.from(piece).toString();
  })().catch(() => {});
  return { text: () => text, close: () => controller.abort() };
}

/** The memory of a process. */
function megabytes(pid: number | undefined): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1_024);
}

/** Connections that a server on this port has and not closed. */
function connections(port: string): number {
  const local = ` 0100007F:${Number(port).toString(16).toUpperCase().padStart(4, '0')} `;
  const lines = fs.readFileSync('/proc/net/tcp', 'utf8').split('\n');
  // The second column is the local address, the fourth the state: 01 is established.
  return lines.filter((line) => line.slice(5, 20).includes(local.trim()) && /^ *\d+: \S+ \S+ 01 /.test(line))
    .length;
}
