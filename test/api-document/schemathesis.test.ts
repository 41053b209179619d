/**
 * Schemathesis tests the running program by its own OpenAPI document: no 5xx, no status or body that is not documented, no
 * request refused that fits the document, none accepted that does not. SCHEMATHESIS_SEED and SCHEMATHESIS_SECONDS make
 * other and longer runs.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type System, startSystem } from '../acceptance/system.ts';
import { fuzz, whyNoSchemathesis } from '../support/schemathesis.ts';

const seed = Number(process.env.SCHEMATHESIS_SEED ?? 20_260_601);
const seconds = Number(process.env.SCHEMATHESIS_SECONDS ?? 90);

describe('the API, tested by its document', { skip: await whyNoSchemathesis() }, () => {
  let system: System;
  let known: Record<string, readonly string[]>;
  before(async () => {
    system = await startSystem({ AUTH: 'off' });
    known = await place(system);
  });
  after(() => system?.stop());

  it('answers every generated request as the document says', async () => {
    const phases = ['examples', 'coverage', 'fuzzing'] as const;
    const { found, report } = await fuzz({ url: system.program.url, seed, phases, seconds, known });
    assert.ok(!found, report);
    const [, cases = '0'] = /(\d+) generated/.exec(report) ?? [];
    assert.ok(Number(cases) > 1_000, `only ${cases} requests:\n${report}`);
    assert.deepEqual(
      system.program.log.filter(({ level }) => level === 'error'),
      [],
    );
  });
});

/** Places something of each kind, so that requests reach more than 404; returns the ids by the parameters that take them. */
async function place({ ask, produce, eventually }: System): Promise<Record<string, readonly string[]>> {
  const make = async (path: string, body: object) => {
    const answer = await ask('POST', path, body);
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body.id ?? answer.body.orderId;
  };
  const kitchen = { name: 'Kitchen', acceptance: 'manual', location: { lat: 1, lng: 1 } };
  const rid = await make('/api/v1/inventory/add/restaurant', kitchen);
  const item = await make(`/api/v1/inventory/add/${rid}/item`, { name: 'Soup', price: 5, initial_qty: 1e6 });
  await ask('PUT', '/v1/riders/rider-1', { name: 'Ravi', location: { lat: 1, lng: 1 } });
  const amount = { customer_name: 'Asha', total_price: 5 };
  const order = {
    customerId: 'asha',
    restaurantId: rid,
    items: [{ itemId: item, quantity: 1 }],
    deliveryAddress: { street: '1 Main St', city: 'Pune', state: 'MH', zipCode: '41100' },
  };
  const orders = [
    await make('/orders', { ...amount, scheduled_time: '2035-01-01T00:00:00Z' }),
    await make('/orders', amount),
    await make('/orders', { customerId: 'asha', items: [{ itemId: 'pho-bo', quantity: 1, unitPrice: 5 }] }),
    await make('/v1/orders', order),
    await make('/v1/orders', order),
  ];
  await produce('raw.order-events', { eventType: 'order.confirmed', orderId: {} });
  const { body } = await eventually(
    'a dead letter',
    '/admin/dlq',
    ({ deadLetters }) => deadLetters.length > 0,
  );
  await eventually('a ticket', `/v1/restaurants/${rid}/orders`, ({ orders }) => orders.length > 0);
  const letters: { id: string }[] = body.deadLetters;
  return {
    'path.id': [...orders, item, ...letters.map(({ id }) => id)],
    'path.oid': orders,
    'path.rid': [rid, 'rider-1'],
    'query.id': orders,
    'body.restaurantId': [rid],
    'body.restaurant_id': [rid],
    'body.items[*].itemId': [item, 'pho-bo'],
    'body.items[*].menu_item_id': [item],
    'body.items[*].item_id': [item, 'pho-bo'],
  };
}
