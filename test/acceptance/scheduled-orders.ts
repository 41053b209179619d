/** Walks through the steps of the scheduled-orders document. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { System } from './system.ts';

export function scheduledOrders(system: () => System): void {
  it('takes an immediate order under the id of the client, and completes it', async () => {
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

  it('holds an order for later in the sorted set by its due time, and sends it off then', async () => {
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
    assert.ok(Date.parse(ready.ready_at) >= dueAt, 'it did not leave early');
  });

  it('has the plain fields on its three topics', async () => {
    const isOurs = (record: { order_id?: string }) => record.order_id === 'order-1';
    const [created] = await system().records('order.created', isOurs);
    const [ready] = await system().records('order.ready', isOurs);
    const [completed] = await system().records('order.completed', isOurs);
    assert.ok(
      Date.parse(created.created_at) && Date.parse(ready.ready_at) && Date.parse(completed.completed_at),
    );
    assert.equal('scheduled_at' in created, false);
  });

  it('answers 400 without an id, and 404 for an unknown one', async () => {
    assert.equal((await system().ask('GET', '/orders')).status, 400);
    assert.equal((await system().ask('GET', '/orders?id=nobody')).status, 404);
  });
}
