/** Settings of the routes, in services that are wired as in the program. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type EveryService, startEveryService } from './every-service.ts';

let every: EveryService;
before(async () => {
  every = await startEveryService({ AUTH: 'off', MAX_RESCHEDULES: '1' });
});
after(() => every?.close());

async function send(method: string, path: string, body?: object) {
  const answer = await fetch(every.url + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: any JSON
  return { status: answer.status, body: (await answer.json()) as any };
}
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

test('an order is rescheduled as often as the settings permit', async () => {
  const body = { id: 'moved', customer_name: 'Asha', total_price: 5, scheduled_time: inHours(1) };
  assert.equal((await send('POST', '/orders', body)).status, 201);
  const path = '/v1/orders/moved/schedule';
  assert.equal((await send('PATCH', path, { scheduledAt: inHours(2) })).status, 200);
  const refused = await send('PATCH', path, { scheduledAt: inHours(3) });
  assert.deepEqual([refused.status, refused.body.errors[0].code], [409, 'RESCHEDULED_TOO_OFTEN']);
});

test('the document of a program that asks for no tokens declares none', async () => {
  const { body } = await send('GET', '/openapi.json');
  assert.equal(body.components.securitySchemes, undefined);
  assert.deepEqual(body.paths['/orders'].post.security, []);
  assert.equal(body.paths['/orders'].post.responses['401'], undefined);
});
