/** Live streams without a server: what becomes of a stream that its client does not read. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { Context } from 'koa';
import { liveStreams } from '../../../internal/transport/http/routes/views/live-stream.ts';
import { until } from '../../support/until.ts';

/** A request whose client reads nothing of the answer. */
function stalledRequest() {
  const ctx = { res: new EventEmitter(), set() {} };
  return ctx as unknown as Context & { body: PassThrough };
}

test('a stream whose client does not read is cut soon after all streams were ended', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const streams = liveStreams(1);
  const ctx = stalledRequest();
  let isClosed = false;
  const onClose = () => {
    isClosed = true;
  };
  streams.open(ctx, onClose).send('view', {});
  streams.endAll();
  t.mock.timers.tick(1_000);
  assert.equal(ctx.body.destroyed, false, 'the client still has time to read the rest');
  t.mock.timers.tick(1_000);
  t.mock.timers.reset();
  await until('its end', () => isClosed);
});
