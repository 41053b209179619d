/** Places something of each kind, so that generated requests reach more than 404. */
import assert from 'node:assert/strict';
import type { System } from '../acceptance/system.ts';
import { until } from '../support/until.ts';

/** Returns the ids by the parameters that take them. `headers` are those of an operator. */
export async function placeOneOfEach(
  { ask, produce }: System,
  headers: Record<string, string> = {},
): Promise<Record<string, readonly string[]>> {
  const make = async (path: string, body: object) => {
    const answer = await ask('POST', path, body, headers);
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body.id ?? answer.body.orderId;
  };
  const kitchen = { name: 'Kitchen', acceptance: 'manual', location: { lat: 1, lng: 1 } };
  const rid = await make('/api/v1/inventory/add/restaurant', kitchen);
  const item = await make(`/api/v1/inventory/add/${rid}/item`, { name: 'Soup', price: 5, initial_qty: 1e6 });
  await ask('PUT', '/v1/riders/rider-1', { name: 'Ravi', location: { lat: 1, lng: 1 } }, headers);
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
  const listed = (what: string, path: string, field: string) =>
    until(what, async () => {
      const { body } = await ask('GET', path, undefined, headers);
      return body[field].length > 0 ? body[field] : undefined;
    });
  const letters: { id: string }[] = await listed('a dead letter', '/admin/dlq', 'deadLetters');
  await listed('a ticket', `/v1/restaurants/${rid}/orders`, 'orders');
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
