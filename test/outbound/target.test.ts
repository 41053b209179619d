/** The address of a provider whose URL has a user and a password. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { httpNotifications } from '../../internal/transport/outbound/http-notifications.ts';
import { targetOf } from '../../internal/transport/outbound/target.ts';

test('a user and a password are sent as basic authentication, and never quoted in a fault', async (t) => {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(202).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.after(() => server.close());
  const message = { to: 'asha', template: 'T', variables: {} };
  const there = httpNotifications(`http://us%20er:p%40ss@127.0.0.1:${port}/messages`);
  assert.deepEqual(await there.send(message, 'k'), { outcome: 'sent' });
  assert.deepEqual(seen, [`Basic ${Buffer.from('us er:p@ss').toString('base64')}`]);
  const nowhere = await httpNotifications('http://user:s3cret@127.0.0.1:9/messages').send(message, 'k');
  assert.equal(nowhere.outcome, 'unavailable');
  assert.doesNotMatch(JSON.stringify(nowhere), /s3cret/);
});

test('a URL without them stays as it is written', () => {
  assert.deepEqual(targetOf('https://pay.example/v1/'), { url: 'https://pay.example/v1/', headers: {} });
});
