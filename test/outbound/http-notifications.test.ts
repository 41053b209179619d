/** The notification provider over HTTP: the messages sent to it, and the outcome of each of its responses. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import {
  httpNotifications,
  loggedNotifications,
} from '../../internal/transport/outbound/http-notifications.ts';
import { startProvider, type TestProvider } from '../support/notification-provider.ts';
import { recordingLog } from '../support/recording-log.ts';

/** The outgoing webhook as the food-ordering document specifies it. */
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

test('a message is posted in its canonical form, with its idempotency key', async () => {
  assert.deepEqual(await send(), { outcome: 'sent' });
  assert.deepEqual(provider.posts, [
    { key: 'ORD-1001:ORDER_ACCEPTED', type: 'application/json', body: CANONICAL },
  ]);
});

test('a message is posted without its additional fields', async () => {
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
  test(`a response of ${status} has the outcome ${outcome}`, async () => {
    provider.answer = () => status;
    const result = await send();
    assert.equal(result.outcome, outcome);
    assert.match((result as { error: string }).error, new RegExp(`answered ${status}`));
    assert.equal(provider.posts.length, 1, 'a redirect is not followed');
  });
}

test('a provider that does not respond within the timeout is unavailable', async () => {
  provider.answer = () => 0;
  const result = await send();
  assert.equal(result.outcome, 'unavailable');
  assert.match((result as { error: string }).error, /no response.*(abort|timeout)/i);
});

test('a provider that refuses the connection is unavailable', async () => {
  await provider.down();
  const result = await send();
  await provider.up();
  assert.equal(result.outcome, 'unavailable');
  // UND_ERR_SOCKET occurs when the provider has closed a connection that was kept open.
  assert.match((result as { error: string }).error, /^no response.*(ECONNREFUSED|UND_ERR_SOCKET)$/);
});

test('a message without a provider is logged at debug level and counts as sent', async () => {
  const log = recordingLog();
  assert.deepEqual(await loggedNotifications(log).send(CANONICAL, 'k'), { outcome: 'sent' });
  assert.deepEqual(
    log.lines.map(({ level, fields }) => ({ level, fields })),
    [{ level: 'debug', fields: CANONICAL }],
  );
});
