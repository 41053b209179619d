/** Acceptance tests that follow the steps of the food-ordering document. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { until } from '../support/until.ts';
import type { System } from './system.ts';

const BODY = {
  customerId: 'CUST-123',
  restaurantId: 'REST-456',
  items: [
    { itemId: 'PIZZA-001', quantity: 1 },
    { itemId: 'DRINK-003', quantity: 2 },
  ],
  deliveryAddress: { street: '2510 Lagoon Way', city: 'Anytown', state: 'CA', zipCode: '12345' },
  specialInstructions: 'Extra cheese',
};
const HEADERS = { accept: 'application/json', 'idempotency-key': '0fb1e1b9-e7dc-4aec-b2fa-3794b341fe7a' };

export function foodOrdering(system: () => System): void {
  let orderId: string;
  let riderId: string;
  const view = (status: string) =>
    system().eventually(
      `the order to be ${status}`,
      `/v1/orders/${orderId}`,
      (body) => body.status === status,
    );

  it('an order is placed with 201 and a Location header, and a repeated request gets the stored response', async () => {
    const placed = await system().ask('POST', '/v1/orders', BODY, HEADERS);
    assert.deepEqual([placed.status, placed.body.status], [201, 'PLACED']);
    orderId = placed.body.orderId;
    assert.equal(placed.headers.get('location'), `/v1/orders/${orderId}`);
    assert.ok(Date.parse(placed.body.createdAt));
    const again = await system().ask('POST', '/v1/orders', BODY, HEADERS);
    assert.deepEqual([again.status, again.body], [201, placed.body]);
    assert.equal(again.headers.get('idempotency-replayed'), 'true');
  });

  it('an address without a zip code is refused with INVALID_ADDRESS', async () => {
    const { zipCode: _, ...address } = BODY.deliveryAddress;
    const refused = await system().ask('POST', '/v1/orders', { ...BODY, deliveryAddress: address });
    assert.equal(refused.status, 400);
    const [error] = refused.body.errors;
    assert.deepEqual([error.status, error.code], ['400', 'INVALID_ADDRESS']);
    assert.equal(typeof error.detail, 'string');
  });

  it('a record of the order is published on order_placed', async () => {
    const [record] = await system().records('order_placed', (candidate) => candidate.orderId === orderId);
    assert.deepEqual(
      [record.customerId, record.restaurantId, record.items, record.deliveryAddress],
      [BODY.customerId, BODY.restaurantId, BODY.items, BODY.deliveryAddress],
    );
  });

  it('the restaurant accepts the order, and a second acceptance is refused with 409', async () => {
    const estimatedReadyTime = new Date(Date.now() + 15 * 60_000).toISOString();
    const path = `/v1/restaurants/REST-456/orders/${orderId}`;
    await system().eventually('the ticket to be open', '/v1/restaurants/REST-456/orders', (body) =>
      JSON.stringify(body).includes(orderId),
    );
    const accepted = await system().ask('POST', path, { action: 'ACCEPT', estimatedReadyTime });
    assert.deepEqual([accepted.status, accepted.body.status], [200, 'ACCEPTED']);
    assert.equal(Date.parse(accepted.body.estimatedReadyTime), Date.parse(estimatedReadyTime));
    assert.ok(Date.parse(accepted.body.acceptedAt));
    const again = await system().ask('POST', path, { action: 'ACCEPT', estimatedReadyTime });
    assert.deepEqual([again.status, again.body.errors[0].code], [409, 'ALREADY_ACCEPTED']);
  });

  it('order_accepted and rider_request are published once each, and a rider is assigned', async () => {
    const isOurs = (record: { orderId?: string }) => record.orderId === orderId;
    const [assigned] = await system().records('rider_assigned', isOurs);
    assert.equal(assigned.eventType, 'rider_assigned');
    assert.ok(Date.parse(assigned.assignedAt));
    assert.deepEqual(assigned.pickupLocation, {
      restaurantId: 'REST-456',
      address: '2510 Lagoon Way, Anytown CA',
    });
    riderId = assigned.riderId;
    assert.equal((await system().records('order_accepted', isOurs)).length, 1);
    assert.equal((await system().records('rider_request', isOurs)).length, 1);
    const shown = await view('RIDER_ASSIGNED');
    assert.ok(Date.parse(shown.body.eta) > Date.now());
  });

  it('the assigned rider picks the order up and then delivers it, and other updates are refused', async () => {
    const path = `/v1/riders/${riderId}/orders/${orderId}`;
    const early = await system().ask('PATCH', path, {
      status: 'DELIVERED',
      timestamp: new Date().toISOString(),
    });
    assert.deepEqual([early.status, early.body.errors[0].code], [409, 'NOT_PICKED_UP']);
    const byOther = await system().ask('PATCH', `/v1/riders/RIDER-0/orders/${orderId}`, {
      status: 'PICKED_UP',
      timestamp: new Date().toISOString(),
    });
    assert.ok(byOther.status >= 400 && byOther.status < 500);
    const picked = await system().ask('PATCH', path, {
      status: 'PICKED_UP',
      timestamp: new Date().toISOString(),
    });
    assert.equal(picked.status, 204);
    await view('PICKED_UP');
    const delivered = await system().ask('PATCH', path, {
      status: 'DELIVERED',
      timestamp: new Date().toISOString(),
    });
    assert.equal(delivered.status, 204);
    const shown = await view('DELIVERED');
    assert.deepEqual(
      shown.body.timeline.map(({ status }: { status: string }) => status),
      ['PLACED', 'ACCEPTED', 'RIDER_ASSIGNED', 'PICKED_UP', 'DELIVERED'],
    );
    assert.deepEqual([shown.body.customerId, shown.body.restaurantId], ['CUST-123', 'REST-456']);
  });

  it('the status DELIVERED is published once on order_events', async () => {
    const records = await system().records(
      'order_events',
      (record) => record.orderId === orderId && record.status === 'DELIVERED',
    );
    assert.equal(records.length, 1);
  });

  it('the customer is notified of each status once', async () => {
    const ours = () => system().messages.filter(({ variables }) => variables.orderId === orderId);
    await until('the last message', () => ours().some(({ template }) => template === 'ORDER_DELIVERED'));
    const templates = ours().map(({ template }) => template);
    assert.equal(new Set(templates).size, templates.length);
    for (const word of ['PLACED', 'ACCEPTED', 'RIDER_ASSIGNED', 'PICKED_UP', 'DELIVERED'])
      assert.ok(templates.includes(`ORDER_${word}`), `ORDER_${word} is among ${templates}`);
    const assigned = ours().find(({ template }) => template === 'ORDER_RIDER_ASSIGNED');
    assert.equal(assigned.to, 'CUST-123');
    assert.match(assigned.variables.eta, /^\d\d:\d\d$/);
    await system().records('notification_sent', (record) => record.orderId === orderId, 5);
  });

  it('the order has its two keys in Redis and its row in Postgres', async () => {
    const snapshot = JSON.parse((await system().redis.get(`order:${orderId}`)) ?? '{}');
    assert.equal(snapshot.status, 'DELIVERED');
    // Beside the schedule the snapshot of an ended order expires; with CACHE_REDIS_URL it never does, as the document has it.
    const expiry = await system().redis.ttl(`order:${orderId}`);
    assert.ok(expiry > 86_000 && expiry <= 86_400);
    assert.ok((await system().redis.lrange('customer:CUST-123:last_orders', 0, -1)).includes(orderId));
    const ttl = await system().redis.ttl('customer:CUST-123:last_orders');
    assert.ok(ttl > 86_000 && ttl <= 86_400);
    const { rows } = await system().database.query(
      `SELECT order_id, customer_id, restaurant_id, status, total_amount, created_at, updated_at FROM orders WHERE order_id = $1`,
      [orderId],
    );
    assert.equal(rows[0].status, 'DELIVERED');
  });

  it('a record that another producer published on rider_assigned assigns the rider', async () => {
    const placed = await system().ask('POST', '/v1/orders', { ...BODY, customerId: 'CUST-124' });
    const other = placed.body.orderId;
    await system().database.query('UPDATE riders SET is_on_duty = false');
    await system().eventually('the ticket to be open', '/v1/restaurants/REST-456/orders', (body) =>
      JSON.stringify(body).includes(other),
    );
    await system().ask('POST', `/v1/restaurants/REST-456/orders/${other}`, { action: 'ACCEPT' });
    await system().produce('rider_assigned', {
      eventType: 'rider_assigned',
      orderId: other,
      riderId: 'RIDER-OUTSIDE',
      assignedAt: new Date().toISOString(),
      pickupLocation: { restaurantId: 'REST-456', address: '2510 Lagoon Way, Anytown CA' },
    });
    await system().eventually(
      'the order to have its rider',
      `/v1/orders/${other}`,
      ({ status }) => status === 'RIDER_ASSIGNED',
    );
    await system().database.query('UPDATE riders SET is_on_duty = true');
  });
}
