/** Live streams without a server: what becomes of a stream that its client does not read. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { Context } from 'koa';
import { liveStreams, message } from '../../../internal/transport/http/routes/views/live-stream.ts';
import { until } from '../../support/until.ts';

const ANONYMOUS = { subject: 'anonymous', roles: ['operator'] } as const;

/** A request whose client reads nothing of the answer. */
function stalledRequest() {
  const ctx = { req: new EventEmitter(), res: { writableLength: 0 }, set() {} };
  return ctx as unknown as Context & { body: PassThrough };
}

test('a stream whose client does not read is cut soon after all streams were ended', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const streams = liveStreams({ all: 1, each: 1 });
  const ctx = stalledRequest();
  let isClosed = false;
  const onClose = () => {
    isClosed = true;
  };
  streams.open(ctx, ANONYMOUS, onClose).send(message('view', {}));
  streams.endAll();
  t.mock.timers.tick(1_000);
  assert.equal(ctx.body.destroyed, false, 'the client still has time to read the rest');
  t.mock.timers.tick(1_000);
  t.mock.timers.reset();
  await until('its end', () => isClosed);
});

test('a stream ends with its token, and one whose token lasts for months does not end at once', async (t) => {
  const NOW = 1_900_000_000_000;
  t.mock.timers.enable({ apis: ['Date', 'setTimeout', 'setInterval'], now: NOW });
  const streams = liveStreams({ all: 9, each: 9 });
  const closed: string[] = [];
  for (const [subject, lasts] of [
    ['short', 60_000],
    ['long', 100 * 86_400_000],
    ['over', -1],
  ] as const) {
    const ctx = stalledRequest();
    const principal = { subject, roles: ['customer'], expiresAt: NOW + lasts } as const;
    streams.open(ctx, principal, () => closed.push(subject));
    ctx.body.resume();
  }
  const settle = () => new Promise(setImmediate);
  t.mock.timers.tick(1);
  await settle();
  assert.deepEqual(closed, ['over']);
  for (let second = 1; second < 60; second++) {
    t.mock.timers.tick(1_000);
    await settle();
  }
  assert.deepEqual(closed, ['over']);
  t.mock.timers.tick(1_000);
  await settle();
  assert.deepEqual(closed, ['over', 'short']);
});

test('when all places are taken, one who has fewer streams than others gets the oldest of those who have most', async () => {
  const streams = liveStreams({ all: 6, each: 4 });
  const ended: string[] = [];
  const open = (subject: string, name: string) => {
    const ctx = stalledRequest();
    const principal = { subject, roles: ['customer'], expiresAt: Date.now() + 60_000 } as const;
    streams.open(ctx, principal, () => {});
    ctx.body.once('end', () => ended.push(name)).resume();
  };
  const settle = () => new Promise(setImmediate);
  for (const name of ['a1', 'a2', 'a3', 'a4']) open('asha', name);
  for (const name of ['b1', 'b2']) open('ben', name);
  open('carl', 'c1');
  await settle();
  assert.deepEqual(ended, ['a1']);
  open('carl', 'c2');
  await settle();
  assert.deepEqual(ended, ['a1', 'a2']);
  for (const subject of ['asha', 'ben', 'carl'])
    assert.throws(() => open(subject, 'one more'), { code: 'OVERLOADED' });
  open('dora', 'd1');
  await settle();
  assert.deepEqual(ended, ['a1', 'a2', 'a3']);
});

test('of what a client has not read yet, only the latest view is kept', async () => {
  const streams = liveStreams({ all: 1, each: 1 });
  const ctx = stalledRequest();
  const stream = streams.open(ctx, ANONYMOUS, () => {});
  const view = (n: number) => message('view', { n, text: 'x'.repeat(50_000) });
  for (let n = 1; n <= 100; n++) stream.send(view(n));
  assert.ok(ctx.body.readableLength + ctx.body.writableLength < 200_000, 'the buffer grows with the views');
  stream.send(message('end', {}));
  stream.end();
  let text = '';
  for await (const bytes of ctx.body) text += bytes;
  const numbers = [...text.matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n));
  assert.equal(numbers[0], 1);
  assert.equal(numbers.at(-1), 100);
  assert.ok(numbers.length < 5, `${numbers.length} views were kept`);
  assert.match(text, /event: end\ndata: {}\n\n$/);
});

test('a client that has something left to read at two heartbeats is dropped, and one that has read all is not', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const streams = liveStreams({ all: 2, each: 2, heartbeatMs: 1_000 });
  const [slow, quick] = [stalledRequest(), stalledRequest()];
  for (const ctx of [slow, quick]) streams.open(ctx, ANONYMOUS, () => {}).send(message('view', {}));
  const destroyed = () => [slow, quick].map(({ body }) => body.destroyed);
  const beat = () => {
    quick.body.read();
    t.mock.timers.tick(1_000);
  };
  beat();
  assert.deepEqual(destroyed(), [false, false]);
  slow.body.read(1);
  for (let n = 0; n < 5; n++) beat();
  assert.deepEqual(destroyed(), [true, false]);
  assert.match(String(quick.body.read()), /still here/);
});

test('a client that leaves ends all the streams that it asked for on its connection', async (t) => {
  const streams = liveStreams({ all: 9, each: 9 });
  let opened = 0;
  let closed = 0;
  const server = createServer((req, res) => {
    const ctx = { req, res, set() {} } as unknown as Context & { body: PassThrough };
    streams.open(ctx, ANONYMOUS, () => closed++).send(message('view', {}));
    ctx.body.pipe(res);
    opened++;
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(3));
  await until('the streams to be open', () => opened === 3);
  assert.equal(closed, 0);
  client.destroy();
  await until('all of them to be closed', () => closed === 3, 10_000);
});
