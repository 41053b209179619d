/** Walks through the flow of the delivery-eta document. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
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

  it('creates an order from items with their prices', async () => {
    const placed = await system().ask('POST', '/orders', {
      customerId: 'customer-1',
      currency: 'USD',
      items: [{ itemId: 'burger-classic', quantity: 2, unitPrice: 7.5 }],
    });
    assert.deepEqual([placed.status, placed.body.status], [201, 'CREATED']);
    orderId = placed.body.orderId;
    assert.equal(placed.headers.get('location'), `/orders/${orderId}`);
  });

  it('flows from order.created to eta.updated, one raw topic per area, each record with the nine fields and the key', async () => {
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

  it('updates the ETA again and again', async () => {
    await system().records(
      'raw.delivery-events',
      (record) => record.orderId === orderId && record.eventType === 'eta.updated',
      3,
    );
  });

  it('shows the current view with its ETA, and the history on request', async () => {
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

  it('rebuilds the view when the cache has lost it', async () => {
    await system().redis.del(`order:${orderId}`);
    const shown = await system().ask('GET', `/ui/orders/${orderId}`);
    assert.deepEqual([shown.status, shown.body.status], [200, 'ASSIGNED']);
  });

  it('streams changes live', async () => {
    const stream = await fetch(`${system().program.url}/ui/orders/${orderId}/stream`);
    assert.match(stream.headers.get('content-type') ?? '', /^text\/event-stream/);
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let heard = '';
    while (!heard.includes(orderId)) heard += (await reader?.read())?.value ?? '';
    await system().ask('POST', `/v1/orders/${orderId}/cancel`);
    while (!heard.includes('CANCELLED')) heard += (await reader?.read())?.value ?? '';
    await reader?.cancel();
  });

  it('rejects what is not in stock, and unwinds what a cancel leaves behind', async () => {
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

  it('fails an order whose card is declined, and puts its stock back', async () => {
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

  it('has dead letters on dlq.* with their headers, and an administration of them', async () => {
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
