/** Orders by their items with delivery, and orders repeated after the catalogue has changed. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { content } from '../../support/builders.ts';
import { NOON } from '../../support/manual-clock.ts';

import { BY_ITEMS, codes, ORDER, orderingRoom } from './ordering.ts';

describe('orders with items', () => {
  const room = orderingRoom();
  const { ask, order, stored, count } = room;

  describe('POST /orders with items', () => {
    const place = (body: unknown, who = 'olga', more = {}) => ask(who, 'POST', '/orders', body, more);

    it('an order with the documented body is priced and delivered to the customer', async () => {
      const { status, headers, body } = await place(BY_ITEMS);
      assert.deepEqual(body, {
        id: body.id,
        orderId: body.id,
        customerId: 'asha',
        status: 'CREATED',
        items: BY_ITEMS.items,
        totalAmount: 24,
        currency: 'USD',
        createdAt: new Date(NOON).toISOString(),
      });
      assert.deepEqual([status, headers.location], [201, `/orders/${body.id}`]);
      assert.equal(stored(body.id)?.toCustomer, true);
      for (const path of [`/orders/${body.id}`, `/orders?id=${body.id}`])
        assert.deepEqual((await ask('asha', 'GET', path)).body, body);
    });

    it('an order with an address is delivered to that address', async () => {
      const { body } = await place({ ...BY_ITEMS, deliveryAddress: ORDER.deliveryAddress });
      const { deliveryAddress, toCustomer } = stored(body.id)!;
      assert.deepEqual([deliveryAddress, toCustomer], [ORDER.deliveryAddress, undefined]);
    });

    it('the menu price replaces the unit price of the client', async () => {
      const { body } = await place({
        ...BY_ITEMS,
        items: [{ itemId: 'thali', quantity: 1, unitPrice: 0.01 }],
      });
      assert.deepEqual([body.items[0].unitPrice, body.totalAmount], [12.5, 17.5]);
    });

    it('an order with items stores a customer name, and its given total is ignored', async () => {
      const { status, body } = await place({ ...BY_ITEMS, customer_name: 'Asha', total_price: 1 });
      assert.equal(status, 201);
      assert.deepEqual([stored(body.id)?.customerName, body.totalAmount], ['Asha', 24]);
    });

    it('an order with neither items nor a customer name is refused, and the response names both forms', async () => {
      const answer = await place({ customerId: 'asha' });
      assert.deepEqual(codes(answer), ['400', 'INVALID_BODY']);
      assert.match(answer.body.errors[0].detail, /customer_name and total_price, or customerId and items/);
    });

    const WRONG: Record<string, [changes: object, ...codes: string[]]> = {
      'no customer': [{ customerId: undefined }, 'INVALID_CUSTOMER_ID /customerId'],
      'an empty list of items': [{ items: [], customer_name: 'Asha' }, 'INVALID_ITEMS /items'],
      'items that are null': [{ items: null }, 'INVALID_ITEMS /items'],
      'a price below zero': [
        { items: [{ itemId: 'sushi-set', quantity: 1, unitPrice: -1 }] },
        'INVALID_ITEMS /items/0/unitPrice',
      ],
      'an item without a known price': [
        { items: [{ itemId: 'sushi-set', quantity: 1 }] },
        'PRICE_UNKNOWN /items/0',
      ],
      // No restaurant, so that no menu refuses the currency.
      'a currency without decimals': [{ currency: 'JPY' }, 'INVALID_CURRENCY /currency'],
      'a currency with three decimals': [{ currency: 'KWD' }, 'INVALID_CURRENCY /currency'],
      'an unknown item': [
        { items: [{ itemId: 'ghost', quantity: 1, unitPrice: 1 }] },
        'UNKNOWN_ITEM /items/0',
      ],
      'an incomplete address': [
        { deliveryAddress: { street: '1' } },
        'INVALID_ADDRESS /deliveryAddress/city',
        'INVALID_ADDRESS /deliveryAddress/state',
        'INVALID_ADDRESS /deliveryAddress/zipCode',
      ],
    };
    for (const [what, [changes, ...faults]] of Object.entries(WRONG))
      it(`an order with ${what} is refused`, async () => {
        assert.deepEqual(codes(await place({ ...BY_ITEMS, ...changes })), ['400', ...faults]);
        assert.equal(count(), 0);
      });

    it('a customer can order only for themselves', async () => {
      assert.equal((await place(BY_ITEMS, 'asha')).status, 201);
      assert.deepEqual(codes(await place(BY_ITEMS, 'bela')), ['403', 'FORBIDDEN']);
    });
  });

  describe('a repeated order', () => {
    const key = { 'idempotency-key': 'k-1' };
    const later: Record<string, () => void> = {
      'after the restaurant has closed': () => {
        const r1 = room.catalogue.restaurants.get('r1')!;
        room.catalogue.restaurants.set('r1', { ...r1, isActive: false });
      },
      'after the item has left the menu': () => {
        const thali = room.catalogue.menuItems.get('thali')!;
        room.catalogue.menuItems.set('thali', { ...thali, isActive: false });
      },
      'after the price has risen': () => {
        const thali = room.catalogue.menuItems.get('thali')!;
        room.catalogue.menuItems.set('thali', { ...thali, priceMinor: 9_900 });
      },
    };
    for (const [what, change] of Object.entries(later)) {
      it(`an order repeated under its idempotency key ${what} gets its stored response`, async () => {
        const first = await order(ORDER, 'olga', key);
        change();
        const again = await order(ORDER, 'olga', key);
        assert.deepEqual([again.status, again.text], [201, first.text]);
        assert.equal(count(), 1);
      });
      it(`an order repeated under its client-chosen id ${what} gets the same response`, async () => {
        const own = { ...BY_ITEMS, id: 'mine-1', items: [{ itemId: 'thali', quantity: 1 }] };
        const body = what.includes('closed') ? { ...ORDER, id: 'mine-1' } : own;
        const path = what.includes('closed') ? '/v1/orders' : '/orders';
        const first = await ask('olga', 'POST', path, body);
        change();
        const again = await ask('olga', 'POST', path, body);
        assert.deepEqual([again.status, again.text], [201, first.text]);
        assert.equal(count(), 1);
      });
    }
  });

  it('an order by its amount is placed as before', async () => {
    const { customerName } = content();
    const placed = await ask('olga', 'POST', '/orders', { customer_name: customerName, total_price: 500 });
    assert.deepEqual([placed.status, placed.body.total_price], [201, 500]);
  });
});
