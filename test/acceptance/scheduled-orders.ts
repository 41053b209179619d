/** Acceptance tests that follow the steps of the scheduled-orders document. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { System } from './system.ts';

export function scheduledOrders(system: () => System): void {
  it('an immediate order is placed under the id that the client chose, and completes', async () => {
    const placed = await system().ask('POST', '/orders', {
      id: 'order-1',
      customer_name: 'Asha',
      total_price: 500,
    });
    assert.equal(placed.status, 201);
    assert.equal(placed.headers.get('location'), '/orders/order-1');
    const { created_at, ...rest } = placed.body;
    assert.deepEqual(rest, {
      id: 'order-1',
      orderId: 'order-1',
      customer_name: 'Asha',
      total_price: 500,
      status: 'CREATED',
    });
    assert.ok(Date.parse(created_at));
    await system().eventually(
      'order-1 to be COMPLETED',
      '/orders?id=order-1',
      ({ status }) => status === 'COMPLETED',
    );
    const byPath = await system().ask('GET', '/orders/order-1');
    assert.equal(byPath.body.status, 'COMPLETED');
  });

  it('a scheduled order waits in the sorted set under its due time, and is dispatched at that time', async () => {
    const dueAt = Math.ceil(Date.now() / 1000) * 1000 + 3_000;
    const placed = await system().ask('POST', '/orders', {
      id: 'order-future',
      customer_name: 'Future Asha',
      total_price: 1000,
      scheduled_time: new Date(dueAt).toISOString(),
    });
    assert.deepEqual([placed.status, placed.body.status], [201, 'CREATED']);
    await system().eventually(
      'order-future to wait',
      '/orders?id=order-future',
      ({ status }) => status === 'CREATED',
    );
    let score: string | null = null;
    while (score === null && Date.now() < dueAt)
      score = await system().redis.zscore('tiffin:{s00}:due', 'order:order-future');
    assert.equal(Number(score), dueAt);
    await system().eventually(
      'order-future to be COMPLETED',
      '/orders?id=order-future',
      ({ status }) => status === 'COMPLETED',
    );
    const [ready] = await system().records('order.ready', (record) => record.order_id === 'order-future');
    assert.ok(Date.parse(ready.ready_at) >= dueAt, 'the order is not dispatched early');
  });

  it('the records on the three topics have their timestamps, and no scheduled_at for an immediate order', async () => {
    const isOurs = (record: { order_id?: string }) => record.order_id === 'order-1';
    const [created] = await system().records('order.created', isOurs);
    const [ready] = await system().records('order.ready', isOurs);
    const [completed] = await system().records('order.completed', isOurs);
    assert.ok(
      Date.parse(created.created_at) && Date.parse(ready.ready_at) && Date.parse(completed.completed_at),
    );
    assert.equal('scheduled_at' in created, false);
  });

  it("the record of another scheduler, with the document's two fields, starts the order", async () => {
    const dueAt = new Date(Date.now() + 3_600_000).toISOString();
    const body = { id: 'order-flat', customer_name: 'Asha', total_price: 5, scheduled_time: dueAt };
    assert.equal((await system().ask('POST', '/orders', body)).status, 201);
    await system().produce('order.ready', { order_id: 'order-flat', ready_at: dueAt });
    await system().eventually(
      'order-flat to be COMPLETED',
      '/orders?id=order-flat',
      ({ status }) => status === 'COMPLETED',
    );
    const letters = await system().ask('GET', '/admin/dlq');
    assert.equal(JSON.stringify(letters.body).includes('order-flat'), false);
  });

  it('GET /orders returns 400 without an id, and 404 for an unknown id', async () => {
    assert.equal((await system().ask('GET', '/orders')).status, 400);
    assert.equal((await system().ask('GET', '/orders?id=nobody')).status, 404);
  });
}
