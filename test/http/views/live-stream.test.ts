/** Live streams without a server: what becomes of a stream that its client does not read. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { Context } from 'koa';
import { liveStreams } from '../../../internal/transport/http/routes/views/live-stream.ts';
import { until } from '../../support/until.ts';

const ANONYMOUS = { subject: 'anonymous', roles: ['operator'] } as const;

/** A request whose client reads nothing of the answer. */
function stalledRequest() {
  const ctx = { res: new EventEmitter(), set() {} };
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
  streams.open(ctx, ANONYMOUS, onClose).send('view', {});
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
  t.mock.timers.tick(59_998);
  await settle();
  assert.deepEqual(closed, ['over']);
  t.mock.timers.tick(1);
  await settle();
  assert.deepEqual(closed, ['over', 'short']);
});
