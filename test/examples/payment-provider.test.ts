/** examples/payment-provider, as the payment provider of a real Tiffin. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { type Program, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { type Example, ROOT, startExample } from './example.ts';

const PROGRAM = 'examples/payment-provider/provider.mjs';
const SECRET = 'a-secret-of-yours-0';
const API_KEY = 'a-key-of-yours';

describe('the example of a payment provider', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let provider: Example;
  let providerUrl: string;
  let program: Program;

  before(async () => {
    const [port, tiffinPort] = await Promise.all([getPort(), getPort()]);
    providerUrl = `http://127.0.0.1:${port}`;
    provider = startExample(process.execPath, [PROGRAM], {
      PORT: String(port),
      TIFFIN_URL: `http://127.0.0.1:${tiffinPort}`,
      PAYMENT_WEBHOOK_SECRET: SECRET,
      PAYMENT_API_KEY: API_KEY,
    });
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    program = await startProgram({
      PORT: String(tiffinPort),
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      PAYMENT_URL: providerUrl,
      PAYMENT_API_KEY: API_KEY,
      PAYMENT_WEBHOOK_SECRET: SECRET,
    });
    await until('the provider to listen', () => provider.lines.length > 0);
  });
  after(async () => {
    await program?.stop();
    await provider?.stop();
    await Promise.all([database.drop(), redis.drop()]);
  });

  async function place(token: string): Promise<string> {
    const id = randomUUID();
    const items = [{ itemId: 'sushi-set', quantity: 1, unitPrice: 24 }];
    const body = { id, customerId: 'asha', currency: 'USD', items, payment: { token } };
    assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
    return id;
  }
  const hasState = (id: string, state: string) =>
    until(`the payment of ${id} to be ${state}`, async () => {
      const { body } = await request('GET', `${program.url}/v1/orders/${id}/payment`);
      return body?.state === state ? body : undefined;
    });

  it('authorizes an order', async () => {
    const { authorized } = await hasState(await place('tok_any'), 'AUTHORIZED');
    assert.equal(authorized, 29);
  });

  it('captures the payment of an order that is delivered', async () => {
    const id = await place('tok_any');
    const rider = await until('a rider', async () => {
      const { body } = await request('GET', `${program.url}/ui/orders/${id}`);
      return body?.rider?.riderId as string | undefined;
    });
    for (const status of ['PICKED_UP', 'DELIVERED']) {
      const body = { status, timestamp: new Date().toISOString() };
      const path = `/v1/riders/${rider}/orders/${id}`;
      assert.equal((await request('PATCH', `${program.url}${path}`, body)).status, 204);
    }
    const { captured } = await hasState(id, 'CAPTURED');
    assert.equal(captured, 29);
    assert.equal(provider.lines.filter((line) => line === `captured 29.00 of ${id}`).length, 1);
  });

  it('declines a card, and the order fails', async () => {
    const { reason } = await hasState(await place('tok_decline'), 'FAILED');
    assert.equal(reason, 'CARD_DECLINED');
  });

  it('decides later by a signed webhook', async () => {
    const id = await place('tok_later');
    await hasState(id, 'AUTHORIZED');
    await until('the webhook to be answered', () =>
      provider.lines.includes(`told Tiffin that ${id} is approved`),
    );
  });

  it('voids the authorization of an order that is cancelled', async () => {
    const id = await place('tok_any');
    await hasState(id, 'AUTHORIZED');
    await request('POST', `${program.url}/v1/orders/${id}/cancel`);
    await hasState(id, 'VOIDED');
    assert.equal(provider.lines.filter((line) => line === `voided ${id}`).length, 1);
  });

  const authorizationHeader = `Bearer ${API_KEY}`;
  const ask = (path: string, body: unknown, key: string, authorization = authorizationHeader) =>
    request('POST', `${providerUrl}${path}`, body, { 'idempotency-key': key, authorization });
  const authorization = { orderId: 'o', amount: '1.00' };

  it('answers a repeated request the same', async () => {
    const first = await ask('/authorizations', authorization, 'once');
    assert.equal(first.body.status, 'approved');
    assert.deepEqual((await ask('/authorizations', authorization, 'once')).body, first.body);
  });

  it('does not grant an authorization that was abandoned, whether it was asked for before or not', async () => {
    await ask('/authorizations', authorization, 'asked');
    for (const key of ['asked', 'not-asked']) {
      await ask('/voids', { orderId: 'o', authorizationKey: key }, `void-${key}`);
      const { body } = await ask('/authorizations', authorization, key);
      assert.deepEqual(body, { status: 'declined', reason: 'ABANDONED' });
    }
  });

  it('sends no webhook for a pending authorization that was abandoned', async () => {
    await ask('/authorizations', { ...authorization, orderId: 'left', token: 'tok_later' }, 'left');
    await ask('/voids', { orderId: 'left', authorizationKey: 'left' }, 'void-left');
    await until('the provider to drop the result', () =>
      provider.lines.includes('Tiffin abandoned left: no webhook is sent'),
    );
  });

  it('refunds once when the request is repeated', async () => {
    for (const _ of ['first', 'repeated'])
      assert.deepEqual((await ask('/refunds', authorization, 'refund')).body, { status: 'approved' });
    await until('the refund', () => provider.lines.includes('refunded 1.00 of o'));
    assert.equal(provider.lines.filter((line) => line === 'refunded 1.00 of o').length, 1);
  });

  it('refuses a request with another API key', async () => {
    assert.equal((await ask('/captures', authorization, 'stranger', 'Bearer other')).status, 401);
  });

  it('refuses a body that is not JSON, and goes on', async () => {
    const headers = { 'idempotency-key': 'broken', authorization: authorizationHeader };
    const broken = await fetch(`${providerUrl}/captures`, { method: 'POST', headers, body: '{' });
    assert.equal(broken.status, 400);
    assert.equal((await ask('/captures', authorization, 'whole')).status, 200);
  });

  it('does not start without the secret of its webhooks', async () => {
    const started = promisify(execFile)(process.execPath, [PROGRAM], { cwd: ROOT, env: {}, timeout: 10_000 });
    await assert.rejects(started, { code: 1, stderr: /^Set PAYMENT_WEBHOOK_SECRET/ });
  });
});
