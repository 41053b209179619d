/** Invalid requests to a running Tiffin: each is refused with its own code and changes nothing. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Json, type System, startSystem } from './system.ts';

const BODY = {
  customerId: 'CUST-1',
  restaurantId: 'REST-456',
  items: [{ itemId: 'PIZZA-001', quantity: 1 }],
  deliveryAddress: { street: '1 Main', city: 'Anytown', state: 'CA', zipCode: '12345' },
};
const PLACING: readonly [what: string, changes: Json, status: number, code: string][] = [
  ['an unknown item', { items: [{ itemId: 'NOTHING', quantity: 1 }] }, 400, 'UNKNOWN_ITEM'],
  ['an item on no menu', { items: [{ itemId: 'sushi-set', quantity: 1 }] }, 400, 'ITEM_NOT_SOLD_HERE'],
  ['a quantity of zero', { items: [{ itemId: 'PIZZA-001', quantity: 0 }] }, 400, 'INVALID_QUANTITY'],
  ['a negative quantity', { items: [{ itemId: 'PIZZA-001', quantity: -1 }] }, 400, 'INVALID_QUANTITY'],
  ['a thousand lines', { items: new Array(1_000).fill(BODY.items[0]) }, 400, 'TOO_MANY_ITEMS'],
  ['no items', { items: [] }, 400, 'INVALID_ITEMS'],
  ['no address', { deliveryAddress: undefined }, 400, 'INVALID_ADDRESS'],
  [
    'an invalid zip code',
    { deliveryAddress: { ...BODY.deliveryAddress, zipCode: '?' } },
    400,
    'INVALID_ADDRESS',
  ],
  ['an unknown restaurant', { restaurantId: 'REST-0' }, 404, 'UNKNOWN_RESTAURANT'],
  ['a closed restaurant', { restaurantId: 'REST-CLOSED' }, 409, 'RESTAURANT_CLOSED'],
];

describe('invalid requests', () => {
  let system: System;
  before(async () => {
    system = await startSystem();
    await system.database.query(
      `INSERT INTO restaurants (restaurant_id, name, is_active) VALUES ('REST-CLOSED', 'Closed', false)`,
    );
  });
  after(() => system?.stop());

  const count = async (table: string) =>
    (await system.database.query(`SELECT count(*)::int AS n FROM ${table}`)).rows[0].n;
  async function confirmed(): Promise<string> {
    const { body } = await system.ask('POST', '/v1/orders', BODY);
    await system.eventually('the ticket to be open', '/v1/restaurants/REST-456/orders', (tickets) =>
      tickets.orders.some((ticket: Json) => ticket.orderId === body.orderId),
    );
    return body.orderId;
  }
  const answer = (id: string, action: string, restaurant = 'REST-456') =>
    system.ask('POST', `/v1/restaurants/${restaurant}/orders/${id}`, { action });
  async function refused(asked: Promise<Json>, status: number, code: string, id?: string): Promise<void> {
    const before = id && (await system.ask('GET', `/orders/${id}`)).headers.get('etag');
    const { status: given, body } = await asked;
    assert.deepEqual([given, body.errors[0].code], [status, code]);
    if (id) assert.equal((await system.ask('GET', `/orders/${id}`)).headers.get('etag'), before);
  }

  for (const [what, changes, status, code] of PLACING) {
    it(`an order with ${what} is refused with ${status} ${code} and not stored`, async () => {
      const stored = await count('orders');
      await refused(system.ask('POST', '/v1/orders', { ...BODY, ...changes }), status, code);
      assert.equal(await count('orders'), stored);
    });
  }

  it('an answer to an answered, cancelled or unknown ticket is refused with its own code', async () => {
    const accepted = await confirmed();
    await answer(accepted, 'ACCEPT');
    await refused(answer(accepted, 'ACCEPT'), 409, 'ALREADY_ACCEPTED');
    const rejected = await confirmed();
    assert.equal((await answer(rejected, 'REJECT')).body.status, 'REJECTED');
    await refused(answer(rejected, 'ACCEPT'), 409, 'ALREADY_REJECTED', rejected);
    const cancelled = await confirmed();
    await system.ask('POST', `/v1/orders/${cancelled}/cancel`);
    await refused(answer(cancelled, 'ACCEPT'), 409, 'TOO_LATE');
    await refused(answer(accepted, 'ACCEPT', 'REST-CLOSED'), 404, 'TICKET_NOT_FOUND');
    await refused(answer('no-such-order', 'ACCEPT'), 404, 'TICKET_NOT_FOUND');
  });

  it('an update by another rider, and a delivery before the pick-up, are refused with their own codes', async () => {
    const id = await confirmed();
    await answer(id, 'ACCEPT');
    const { body } = await system.eventually('a rider', `/ui/orders/${id}`, ({ rider }) => rider !== null);
    const update = (rider: string, status: string) =>
      system.ask('PATCH', `/v1/riders/${rider}/orders/${id}`, {
        status,
        timestamp: new Date().toISOString(),
      });
    const other = ['RIDER-789', 'RIDER-790'].find((rider) => rider !== body.rider.riderId) as string;
    await refused(update(other, 'PICKED_UP'), 409, 'RIDER_NOT_ON_ORDER');
    await refused(update('RIDER-0', 'PICKED_UP'), 404, 'RIDER_NOT_FOUND');
    await refused(update(body.rider.riderId, 'DELIVERED'), 409, 'NOT_PICKED_UP');
    await update(body.rider.riderId, 'PICKED_UP');
    await update(body.rider.riderId, 'DELIVERED');
    await refused(system.ask('POST', `/v1/orders/${id}/cancel`), 409, 'ILLEGAL_TRANSITION');
  });

  it('of fifty orders for ten units, ten are paid and forty fail as OUT_OF_STOCK', async () => {
    await system.database.query(`INSERT INTO inventory_items (item_id, stock_count) VALUES ('rare', 10)`);
    const ids = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const items = [{ itemId: 'rare', quantity: 1, unitPrice: 5 }];
        return (await system.ask('POST', '/orders', { customerId: `c${n}`, currency: 'USD', items })).body
          .orderId;
      }),
    );
    await Promise.all(
      ids.map((id) =>
        system.eventually(`${id} to be decided`, `/ui/orders/${id}`, (view) => view.status !== 'CREATED'),
      ),
    );
    const { rows } = await system.database.query(
      `SELECT count(*) FILTER (WHERE status = 'FAILED' AND reason = 'OUT_OF_STOCK')::int AS failed, count(*)::int AS all,
         (SELECT count(*)::int FROM payments WHERE order_id = ANY($1)) AS paid,
         (SELECT stock_count FROM inventory_items WHERE item_id = 'rare') AS left FROM orders WHERE order_id = ANY($1)`,
      [ids],
    );
    assert.deepEqual(rows, [{ failed: 40, all: 50, paid: 10, left: 0 }]);
  });
});
