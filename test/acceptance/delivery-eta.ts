/** Acceptance tests that follow the flow of the delivery-eta document. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { until } from '../support/until.ts';
import type { System } from './system.ts';

const ENVELOPE = [
  'eventId',
  'eventType',
  'schemaVersion',
  'occurredAt',
  'producedAt',
  'orderId',
  'correlationId',
  'producer',
  'payload',
];

export function deliveryEta(system: () => System): void {
  let orderId: string;

  it('an order is placed with items and their prices', async () => {
    const placed = await system().ask('POST', '/orders', {
      customerId: 'customer-1',
      currency: 'USD',
      items: [{ itemId: 'burger-classic', quantity: 2, unitPrice: 7.5 }],
    });
    assert.deepEqual([placed.status, placed.body.status], [201, 'CREATED']);
    orderId = placed.body.orderId;
    assert.equal(placed.headers.get('location'), `/orders/${orderId}`);
  });

  it('each event from order.created to eta.updated is on the raw topic of its area, with the nine envelope fields', async () => {
    for (const [topic, type] of [
      ['raw.order-events', 'order.created'],
      ['raw.inventory-events', 'inventory.reserved'],
      ['raw.payment-events', 'payment.authorized'],
      ['raw.delivery-events', 'delivery.assigned'],
      ['raw.delivery-events', 'eta.updated'],
    ] as const) {
      const [record] = await system().records(
        topic,
        (candidate) => candidate.orderId === orderId && candidate.eventType === type,
      );
      for (const field of ENVELOPE) assert.ok(field in record, `${type} has ${field}`);
      assert.equal(record.schemaVersion, 1);
    }
  });

  it('the ETA is updated repeatedly', async () => {
    await system().records(
      'raw.delivery-events',
      (record) => record.orderId === orderId && record.eventType === 'eta.updated',
      3,
    );
  });

  it('the view of an order has its ETA, and its history on request', async () => {
    const shown = await system().eventually(
      'the view to have a rider',
      `/ui/orders/${orderId}`,
      ({ status }) => status === 'ASSIGNED',
    );
    assert.equal(shown.body.orderId, orderId);
    assert.deepEqual([shown.body.inventory, shown.body.payment], ['RESERVED', 'AUTHORIZED']);
    assert.ok(shown.body.eta);
    for (const path of [`/ui/orders/${orderId}?history=true`, `/ui/orders/${orderId}/history`]) {
      const { body } = await system().eventually('the history', path, (candidate) =>
        JSON.stringify(candidate).includes('eta.updated'),
      );
      const types = body.history.map(({ eventType }: { eventType: string }) => eventType);
      assert.ok(types.indexOf('order.created') < types.indexOf('inventory.reserved'));
      assert.ok(types.indexOf('inventory.reserved') < types.indexOf('delivery.assigned'));
    }
  });

  it('a view that was deleted from Redis is rebuilt', async () => {
    await system().redis.del(`order:${orderId}`);
    const shown = await system().ask('GET', `/ui/orders/${orderId}`);
    assert.deepEqual([shown.status, shown.body.status], [200, 'ASSIGNED']);
  });

  it('the live stream of an order sends its changes', async () => {
    const stream = await fetch(`${system().program.url}/ui/orders/${orderId}/stream`);
    assert.match(stream.headers.get('content-type') ?? '', /^text\/event-stream/);
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let heard = '';
    while (!heard.includes(orderId)) heard += (await reader?.read())?.value ?? '';
    await system().ask('POST', `/v1/orders/${orderId}/cancel`);
    while (!heard.includes('CANCELLED')) heard += (await reader?.read())?.value ?? '';
    await reader?.cancel();
  });

  it('the view of an order that is cancelled while it waits for a rider equals the one that is rebuilt', async () => {
    const { redis, database } = system();
    await database.query('UPDATE riders SET is_on_duty = false');
    const placed = await system().ask('POST', '/orders', {
      customerId: 'customer-1',
      currency: 'USD',
      items: [{ itemId: 'burger-classic', quantity: 1, unitPrice: 7.5 }],
    });
    const id = placed.body.orderId;
    const view = async () => (await redis.get(`order:${id}`)) ?? '{}';
    const shows = (wanted: Record<string, string>) =>
      until(`the view to show ${JSON.stringify(wanted)}`, async () => {
        const { delivery, payment, reservation } = JSON.parse(await view()).view ?? {};
        return isDeepStrictEqual({ delivery: delivery?.state, payment, reservation }, wanted);
      });
    await shows({ delivery: 'REQUESTED', payment: 'AUTHORIZED', reservation: 'reserved' });
    await system().ask('POST', `/v1/orders/${id}/cancel`);
    await shows({ delivery: 'RELEASED', payment: 'VOIDED', reservation: 'released' });
    const live = await view();
    await redis.del(`order:${id}`);
    await system().ask('GET', `/ui/orders/${id}`);
    await until('the view to be rebuilt', async () => (await view()) !== '{}');
    assert.equal(await view(), live);
    await system().eventually('both events in the history', `/ui/orders/${id}/history`, (body) =>
      ['delivery.requested', 'delivery.withdrawn'].every((type) => JSON.stringify(body).includes(type)),
    );
    await database.query('UPDATE riders SET is_on_duty = true');
  });

  it('a cancellation releases the stock and voids the payment, and an order for an item out of stock fails', async () => {
    await system().records(
      'raw.inventory-events',
      (record) => record.orderId === orderId && record.eventType === 'inventory.released',
    );
    await system().records(
      'raw.payment-events',
      (record) => record.orderId === orderId && record.eventType === 'payment.voided',
    );
    const placed = await system().ask('POST', '/orders', {
      customerId: 'customer-1',
      currency: 'USD',
      items: [{ itemId: 'item-zero-stock', quantity: 1, unitPrice: 1 }],
    });
    const id = placed.body.orderId;
    await system().records(
      'raw.inventory-events',
      (record) => record.orderId === id && record.eventType === 'inventory.rejected',
    );
    await system().eventually(
      'the order to be FAILED',
      `/ui/orders/${id}`,
      ({ status }) => status === 'FAILED',
    );
  });

  it('an order whose card is declined fails, and its stock is released', async () => {
    const placed = await system().ask('POST', '/orders', {
      customerId: 'customer-2',
      currency: 'USD',
      items: [{ itemId: 'burger-classic', quantity: 1, unitPrice: 7.5 }],
      payment: { token: 'tok_decline' },
    });
    const id = placed.body.orderId;
    await system().records(
      'raw.payment-events',
      (record) => record.orderId === id && record.eventType === 'payment.failed',
    );
    await system().records(
      'raw.inventory-events',
      (record) => record.orderId === id && record.eventType === 'inventory.released',
    );
  });

  it('a dead letter is on its dlq.* topic with its headers, and is read, replayed and deleted over HTTP', async () => {
    const poison = { eventType: 'order.processing', orderId, payload: 'not an object' };
    await system().produce('raw.order-events', poison);
    const { body } = await system().eventually('the dead letter', '/admin/dlq', ({ deadLetters }) =>
      deadLetters.some((letter: { topic: string }) => letter.topic === 'raw.order-events'),
    );
    const letter = body.deadLetters.find(({ topic }: { topic: string }) => topic === 'raw.order-events');
    assert.deepEqual((await system().ask('GET', `/admin/dlq/${letter.id}`)).body.topic, 'raw.order-events');
    assert.equal((await system().ask('POST', `/admin/dlq/${letter.id}/replay`)).status, 202);
    const headers = await system().headers('dlq.order-events');
    for (const name of ['x-retry-count', 'x-original-topic', 'x-error']) assert.ok(name in headers, name);
    assert.equal((await system().ask('DELETE', `/admin/dlq/${letter.id}`)).status, 204);
  });
}
