/** Connections to providers that die without a word: one time limit later new ones are used, however many there were. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import { httpNotifications } from '../../internal/transport/outbound/http-notifications.ts';
import { httpPayments } from '../../internal/transport/outbound/http-payments.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';

const TIMEOUT_MS = 2_000;
const CONNECTIONS = 5;

describe('connections to a provider that die without a word', { timeout: 60_000 }, () => {
  const provider = createServer((request, response) => {
    request.resume().once('end', () => {
      const isPayment = request.url === '/authorizations';
      response.writeHead(isPayment ? 200 : 202);
      response.end(isPayment ? '{"status":"approved","id":"a1"}' : '');
    });
  });
  let proxy: ServerProxy;
  before(async () => {
    provider.listen(0, '127.0.0.1');
    await once(provider, 'listening');
  });
  beforeEach(async () => {
    proxy = await proxyTo(`http://127.0.0.1:${(provider.address() as AddressInfo).port}`);
  });
  afterEach(() => proxy.close());
  after(() => {
    provider.closeAllConnections();
    provider.close();
  });

  it('a payment is answered at its second attempt', async () => {
    const payments = httpPayments({ url: proxy.url, timeoutMs: TIMEOUT_MS });
    const authorize = (n: number) =>
      payments.carryOut({
        orderId: `o${n}` as OrderId,
        step: 'authorize',
        amount: { minor: 1250, currency: 'USD' },
        idempotencyKey: `o${n}:authorize`,
      });
    await Promise.all(Array.from({ length: CONNECTIONS }, (_, n) => authorize(n)));
    proxy.silence();
    const startedAt = performance.now();
    assert.deepEqual(await authorize(9), { outcome: 'done', authorizationId: 'a1' });
    assert.ok(performance.now() - startedAt < 2 * TIMEOUT_MS);
  });

  it('a message is not sent over another connection that died at the same time', async () => {
    const notifications = httpNotifications(proxy.url, TIMEOUT_MS);
    const send = (n: number) =>
      notifications.send({ to: '+1', template: 'ORDER_ACCEPTED', variables: { orderId: `o${n}` } }, `k${n}`);
    await Promise.all(Array.from({ length: CONNECTIONS }, (_, n) => send(n)));
    proxy.silence();
    assert.equal((await send(8)).outcome, 'unavailable');
    assert.deepEqual(await send(9), { outcome: 'sent' });
  });
});
