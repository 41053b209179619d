/** Acceptance tests that follow the three parts of the transactional-outbox document's testing flow. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { System } from './system.ts';

export function transactionalOutbox(system: () => System): void {
  let restaurantId: string;
  let itemId: string;
  let orderId: string;
  const stock = async () => (await system().ask('GET', `/api/v1/inventory/${itemId}`)).body.available_qty;

  it('a restaurant is added, and an item with ten in stock', async () => {
    const restaurant = await system().ask('POST', '/api/v1/inventory/add/restaurant', { name: 'Spice Hall' });
    assert.equal(restaurant.status, 201);
    restaurantId = restaurant.body.id;
    const item = await system().ask('POST', `/api/v1/inventory/add/${restaurantId}/item`, {
      name: 'Thali',
      price: 12.5,
      available_qty: 10,
    });
    assert.equal(item.status, 201);
    itemId = item.body.id;
    const found = await system().ask('GET', `/api/v1/inventory/${itemId}`);
    assert.deepEqual([found.body.menu_item_id, found.body.available_qty], [itemId, 10]);
    assert.ok(Date.parse(found.body.updated_at));
  });

  it('an order is placed immediately, and its item is reserved asynchronously: stock 10 → 9', async () => {
    const placed = await system().ask('POST', '/api/v1/orders', {
      user_id: 'user-001',
      restaurant_id: restaurantId,
      items: [{ menu_item_id: itemId, quantity: 1 }],
    });
    assert.deepEqual([placed.status, placed.body.status], [202, 'PLACED']);
    assert.equal(typeof placed.body.message, 'string');
    orderId = placed.body.order_id;
    const order = await system().eventually(
      'the order to be PREPARING',
      `/api/v1/orders/${orderId}`,
      ({ status }) => status === 'PREPARING',
    );
    assert.equal(await stock(), 9);
    assert.deepEqual(order.body.items, [{ name: 'Thali', quantity: 1, price: 12.5 }]);
    assert.equal(order.body.total_amount, placed.body.total_amount);
    assert.equal(order.body.id, orderId);
  });

  it('the order is cancelled immediately, and its item is released: stock 9 → 10', async () => {
    const cancelled = await system().ask('POST', `/api/v1/orders/${orderId}/cancel`);
    assert.deepEqual([cancelled.status, cancelled.body.status], [200, 'CANCELLED']);
    await system().eventually(
      'the stock to be ten again',
      `/api/v1/inventory/${itemId}`,
      (body) => body.available_qty === 10,
    );
  });

  it('an order moves through its primary flow, and a skipped status is refused with 409', async () => {
    const placed = await system().ask('POST', `/api/v1/orders?user_id=user-001`, {
      restaurant_id: restaurantId,
      items: [{ menu_item_id: itemId, quantity: 2 }],
    });
    const path = `/api/v1/orders/${placed.body.order_id}`;
    await system().eventually('the order to be PREPARING', path, ({ status }) => status === 'PREPARING');
    const jump = await system().ask('PATCH', `${path}/status`, { status: 'DELIVERED' });
    assert.deepEqual([jump.status, jump.body.errors[0].code], [409, 'ILLEGAL_TRANSITION']);
    for (const status of ['OUT_FOR_DELIVERY', 'DELIVERED']) {
      const moved = await system().ask('PATCH', `${path}/status`, { status });
      assert.deepEqual([moved.status, moved.body.status], [200, status]);
    }
    const late = await system().ask('POST', `${path}/cancel`);
    assert.equal(late.status, 409);
    assert.equal(await stock(), 8);
  });

  it('the events on order_events have the names that the document gives them', async () => {
    for (const name of [
      'order.placed.v1',
      'inventory.deducted.success.v1',
      'order.status.preparing.v1',
      'order.cancelled.v1',
    ]) {
      await system().records(
        'order_events',
        (record) => record.orderId === orderId && record.aliases?.includes(name),
      );
    }
  });

  it('the outbox and the processed events are tables, and the API documentation is at /docs', async () => {
    const { rows } = await system().database.query('SELECT count(*)::int AS n FROM processed_events');
    assert.ok(rows[0].n > 0);
    assert.ok((await system().database.query('SELECT FROM events WHERE order_id = $1', [orderId])).rowCount);
    const page = await fetch(`${system().program.url}/docs`);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /swagger-ui/);
  });
}
