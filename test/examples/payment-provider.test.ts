/** examples/payment-provider, as the payment provider of a real Tiffin. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Program, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { type Example, startExample } from './example.ts';

const SECRET = 'a-secret-of-yours-0';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('the example of a payment provider', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let provider: Example;
  let providerUrl: string;
  let program: Program;

  before(async () => {
    const [port, tiffinPort] = await Promise.all([freePort(), freePort()]);
    providerUrl = `http://127.0.0.1:${port}`;
    provider = startExample(process.execPath, ['examples/payment-provider/provider.mjs'], {
      PORT: String(port),
      TIFFIN_URL: `http://127.0.0.1:${tiffinPort}`,
      PAYMENT_WEBHOOK_SECRET: SECRET,
    });
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    program = await startProgram({
      PORT: String(tiffinPort),
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      PAYMENT_URL: providerUrl,
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

  it('answers a repeated request the same', async () => {
    const ask = () =>
      request(
        'POST',
        `${providerUrl}/authorizations`,
        { orderId: 'o', amount: '1.00' },
        { 'idempotency-key': 'once' },
      );
    const first = await ask();
    assert.deepEqual((await ask()).body, first.body);
  });
});
