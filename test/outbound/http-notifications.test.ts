/** The webhook of the notification provider: what it is sent, and what its answers mean. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import {
  httpNotifications,
  loggedNotifications,
} from '../../internal/transport/outbound/http-notifications.ts';
import { startProvider, type TestProvider } from '../support/notification-provider.ts';
import { recordingLog } from '../support/recording-log.ts';

/** The outgoing webhook, as the food-ordering document gives it. */
const CANONICAL = {
  to: '+1-555-0100',
  template: 'ORDER_ACCEPTED',
  variables: { orderId: 'ORD-1001', eta: '17:35' },
};
let provider: TestProvider;

before(async () => {
  provider = await startProvider();
});
after(() => provider.down());
beforeEach(() => {
  provider.posts.length = 0;
  provider.answer = () => 202;
});
const send = () => httpNotifications(provider.url, 300).send(CANONICAL, 'ORD-1001:ORDER_ACCEPTED');

test('a message is posted in its canonical form, under its key', async () => {
  assert.deepEqual(await send(), { outcome: 'sent' });
  assert.deepEqual(provider.posts, [
    { key: 'ORD-1001:ORDER_ACCEPTED', type: 'application/json', body: CANONICAL },
  ]);
});

test('nothing of what else a message carries is posted', async () => {
  const kept = { ...CANONICAL, state: 'PENDING', attempts: 3 };
  await httpNotifications(provider.url).send(kept, 'k');
  assert.deepEqual(provider.posts[0]?.body, CANONICAL);
});

for (const [status, outcome] of [
  [200, 'failed'],
  [204, 'failed'],
  [302, 'failed'],
  [400, 'refused'],
  [404, 'refused'],
  [408, 'failed'],
  [422, 'refused'],
  [429, 'unavailable'],
  [500, 'failed'],
  [503, 'failed'],
] as const) {
  test(`an answer of ${status} means ${outcome}`, async () => {
    provider.answer = () => status;
    const result = await send();
    assert.equal(result.outcome, outcome);
    assert.match((result as { error: string }).error, new RegExp(`answered ${status}`));
    assert.equal(provider.posts.length, 1, 'and nothing is followed');
  });
}

test('a provider that never answers is away once the time is over', async () => {
  provider.answer = () => 0;
  const result = await send();
  assert.equal(result.outcome, 'unavailable');
  assert.match((result as { error: string }).error, /no response.*(abort|timeout)/i);
});

test('a provider that refuses the connection is away', async () => {
  await provider.down();
  const result = await send();
  await provider.up();
  assert.equal(result.outcome, 'unavailable');
  // The second where a connection was open that the provider had closed.
  assert.match((result as { error: string }).error, /^no response.*(ECONNREFUSED|UND_ERR_SOCKET)$/);
});

test('without a provider messages are taken and logged, for whoever looks closely', async () => {
  const log = recordingLog();
  assert.deepEqual(await loggedNotifications(log).send(CANONICAL, 'k'), { outcome: 'sent' });
  assert.deepEqual(
    log.lines.map(({ level, fields }) => ({ level, fields })),
    [{ level: 'debug', fields: CANONICAL }],
  );
});
