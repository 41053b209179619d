/** The payment provider over HTTP: the requests sent, the outcome of each response, and UNAVAILABLE without a clear one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import type { PaymentRequest } from '../../internal/service/payments/ports.ts';
import { httpPayments } from '../../internal/transport/outbound/http-payments.ts';

interface Heard {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

const REQUEST: PaymentRequest = {
  orderId: 'o1' as OrderId,
  step: 'authorize',
  amount: { minor: 1250, currency: 'USD' },
  token: 'tok_1',
  idempotencyKey: 'o1:authorize',
};

describe('the payment provider over HTTP', () => {
  const heard: Heard[] = [];
  /** The server's behaviour for each request in turn; the last one applies to all later requests. */
  let behaviours: ((response: ServerResponse) => void)[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers } = request;
    heard.push({ method, url, headers, body: JSON.parse(Buffer.concat(chunks).toString()) });
    const behave = behaviours.length > 1 ? behaviours.shift() : behaviours[0];
    behave?.(response);
  });
  let url: string;

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    heard.length = 0;
  });

  const says = (status: number, body?: unknown) => (response: ServerResponse) => {
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const hangsUp = (response: ServerResponse) => void response.destroy();
  const isSilent = () => {};
  const APPROVED = { status: 'approved', id: 'a1' };
  const ask = (changes: Partial<PaymentRequest> = {}, timeoutMs = 2_000) =>
    httpPayments({ url: `${url}/`, apiKey: 'key-1', timeoutMs }).carryOut({ ...REQUEST, ...changes });

  it('a request carries the amount as a decimal, the idempotency key and the API key', async () => {
    behaviours = [says(201, APPROVED)];
    assert.deepEqual(await ask(), { outcome: 'done', authorizationId: 'a1' });
    const [{ method, url, headers, body } = {} as Heard] = heard;
    assert.deepEqual(
      [method, url, headers['idempotency-key'], headers.authorization],
      ['POST', '/v1/authorizations', 'o1:authorize', 'Bearer key-1'],
    );
    assert.deepEqual(body, { orderId: 'o1', amount: '12.50', currency: 'USD', token: 'tok_1' });
  });

  it('each payment step is posted to its own path', async () => {
    behaviours = [says(200, APPROVED)];
    for (const step of ['abandon', 'capture', 'void', 'refund'] as const)
      assert.deepEqual(await ask({ step, authorizationId: 'a1' }), { outcome: 'done' });
    assert.deepEqual(
      heard.map(({ url }) => url),
      ['/v1/voids', '/v1/captures', '/v1/voids', '/v1/refunds'],
    );
  });

  const MEANS: readonly [status: number, body: unknown, answer: object][] = [
    [200, { status: 'pending' }, { outcome: 'pending' }],
    [200, { status: 'declined', reason: 'NO_FUNDS' }, { outcome: 'declined', reason: 'NO_FUNDS' }],
    [402, { reason: 'STOLEN' }, { outcome: 'declined', reason: 'STOLEN' }],
    [402, 'not JSON', { outcome: 'declined', reason: 'DECLINED' }],
    [402, { reason: 'a\u0000b' }, { outcome: 'declined', reason: 'a b' }],
  ];
  for (const [status, body, answer] of MEANS) {
    it(`a response of ${status} ${JSON.stringify(body)} gives ${JSON.stringify(answer)}`, async () => {
      behaviours = [says(status, body)];
      assert.deepEqual(await ask(), answer);
      assert.equal(heard.length, 1);
    });
  }

  const SILENCES: readonly [what: string, behaviour: (response: ServerResponse) => void, asked: number][] = [
    ['a 500', says(500), 3],
    ['a 503 that looks like a decline', says(503, { status: 'declined' }), 3],
    ['a broken connection', hangsUp, 3],
    ['a 401, which is about the API key and not the card', says(401, { reason: 'key' }), 1],
    ['a 409, which means that the first request is in progress', says(409), 1],
    ['a 429', says(429), 1],
    ['a 200 with an unreadable body', says(200, '<html>'), 1],
    ['an approval without an id', says(200, { status: 'approved' }), 1],
    ['an approval whose id is too long', says(200, { status: 'approved', id: 'x'.repeat(129) }), 1],
    ['a redirect', (response) => void response.writeHead(302, { location: '/elsewhere' }).end(), 3],
  ];
  for (const [what, behaviour, asked] of SILENCES) {
    it(`the provider is UNAVAILABLE after ${what}`, async () => {
      behaviours = [behaviour];
      await assert.rejects(ask(), { code: 'UNAVAILABLE' });
      assert.equal(heard.length, asked);
    });
  }

  it('the provider is UNAVAILABLE after three requests without a response in time', async () => {
    behaviours = [isSilent];
    await assert.rejects(ask({}, 300), { code: 'UNAVAILABLE' });
    assert.equal(heard.length, 3);
  });

  it('the provider is UNAVAILABLE at an address without a server', async () => {
    const provider = httpPayments({ url: 'http://127.0.0.1:1', timeoutMs: 500 });
    await assert.rejects(provider.carryOut(REQUEST), { code: 'UNAVAILABLE' });
  });

  it('a failed request is retried under the same idempotency key', async () => {
    behaviours = [hangsUp, says(502), says(200, APPROVED)];
    assert.deepEqual(await ask(), { outcome: 'done', authorizationId: 'a1' });
    assert.deepEqual(
      heard.map(({ headers }) => headers['idempotency-key']),
      ['o1:authorize', 'o1:authorize', 'o1:authorize'],
    );
  });

  it('any other 4xx response throws an internal error that is not UNAVAILABLE', async () => {
    behaviours = [says(422, { reason: 'no such currency' })];
    const fault = (error: Error & { code?: string }) =>
      error.code === undefined && /refuses to authorize: 422 no such currency/.test(error.message);
    await assert.rejects(ask(), fault);
  });

  it('a 404 completes an abandon step, and throws for a capture', async () => {
    behaviours = [says(404)];
    assert.deepEqual(await ask({ step: 'abandon', authorizationKey: 'k' }), { outcome: 'done' });
    await assert.rejects(ask({ step: 'capture' }), /refuses to capture: 404/);
  });
});
