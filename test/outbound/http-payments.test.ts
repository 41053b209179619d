/** The provider over HTTP: what is sent, what each answer means, and that silence is never taken for an answer. */
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

describe('the provider over HTTP', () => {
  const heard: Heard[] = [];
  /** How the server treats each request in turn; the last one serves all that follow. */
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

  it('sends the amount as a decimal, with the idempotency key and its own key', async () => {
    behaviours = [says(201, APPROVED)];
    assert.deepEqual(await ask(), { outcome: 'done', authorizationId: 'a1' });
    const [{ method, url, headers, body } = {} as Heard] = heard;
    assert.deepEqual(
      [method, url, headers['idempotency-key'], headers.authorization],
      ['POST', '/v1/authorizations', 'o1:authorize', 'Bearer key-1'],
    );
    assert.deepEqual(body, { orderId: 'o1', amount: '12.50', currency: 'USD', token: 'tok_1' });
  });

  it('has a resource for each step', async () => {
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
    it(`takes ${status} ${JSON.stringify(body)} for ${JSON.stringify(answer)}`, async () => {
      behaviours = [says(status, body)];
      assert.deepEqual(await ask(), answer);
      assert.equal(heard.length, 1);
    });
  }

  const SILENCES: readonly [what: string, behaviour: (response: ServerResponse) => void, asked: number][] = [
    ['500', says(500), 3],
    ['503 that looks like a decline', says(503, { status: 'declined' }), 3],
    ['a connection that breaks', hangsUp, 3],
    ['401: our key is wrong, not the card', says(401, { reason: 'key' }), 1],
    ['409: the first request is under way', says(409), 1],
    ['429', says(429), 1],
    ['200 that cannot be read', says(200, '<html>'), 1],
    ['an approval without an id', says(200, { status: 'approved' }), 1],
    ['an approval whose id is too long', says(200, { status: 'approved', id: 'x'.repeat(129) }), 1],
    ['a redirect', (response) => void response.writeHead(302, { location: '/elsewhere' }).end(), 3],
  ];
  for (const [what, behaviour, asked] of SILENCES) {
    it(`is UNAVAILABLE after ${what}`, async () => {
      behaviours = [behaviour];
      await assert.rejects(ask(), { code: 'UNAVAILABLE' });
      assert.equal(heard.length, asked);
    });
  }

  it('is UNAVAILABLE when nothing is said in time, three times', async () => {
    behaviours = [isSilent];
    await assert.rejects(ask({}, 30), { code: 'UNAVAILABLE' });
    assert.equal(heard.length, 3);
  });

  it('is UNAVAILABLE where nobody listens', async () => {
    const provider = httpPayments({ url: 'http://127.0.0.1:1', timeoutMs: 500 });
    await assert.rejects(provider.carryOut(REQUEST), { code: 'UNAVAILABLE' });
  });

  it('asks again quickly under the same key', async () => {
    behaviours = [hangsUp, says(502), says(200, APPROVED)];
    assert.deepEqual(await ask(), { outcome: 'done', authorizationId: 'a1' });
    assert.deepEqual(
      heard.map(({ headers }) => headers['idempotency-key']),
      ['o1:authorize', 'o1:authorize', 'o1:authorize'],
    );
  });

  it('throws any other 4xx as a fault of ours, which no waiting mends', async () => {
    behaviours = [says(422, { reason: 'no such currency' })];
    const fault = (error: Error & { code?: string }) =>
      error.code === undefined && /refuses to authorize: 422 no such currency/.test(error.message);
    await assert.rejects(ask(), fault);
  });

  it('takes an authorization that the provider never heard of for abandoned, and for nothing else', async () => {
    behaviours = [says(404)];
    assert.deepEqual(await ask({ step: 'abandon', authorizationKey: 'k' }), { outcome: 'done' });
    await assert.rejects(ask({ step: 'capture' }), /refuses to capture: 404/);
  });
});
