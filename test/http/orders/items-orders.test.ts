/** Orders by their items, delivered; and orders that are asked for again after the catalogue has changed. */

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

    it('takes the document’s own body, prices it, and has it delivered to the customer', async () => {
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

    it('takes an address, and then goes there', async () => {
      const { body } = await place({ ...BY_ITEMS, deliveryAddress: ORDER.deliveryAddress });
      const { deliveryAddress, toCustomer } = stored(body.id)!;
      assert.deepEqual([deliveryAddress, toCustomer], [ORDER.deliveryAddress, undefined]);
    });

    it('lets the menu’s price win over the client’s', async () => {
      const { body } = await place({
        ...BY_ITEMS,
        items: [{ itemId: 'thali', quantity: 1, unitPrice: 0.01 }],
      });
      assert.deepEqual([body.items[0].unitPrice, body.totalAmount], [12.5, 17.5]);
    });

    it('takes a customer’s name beside the items for just that', async () => {
      const { status, body } = await place({ ...BY_ITEMS, customer_name: 'Asha', total_price: 1 });
      assert.equal(status, 201);
      assert.deepEqual([stored(body.id)?.customerName, body.totalAmount], ['Asha', 24]);
    });

    it('with neither items nor a name is refused, naming both forms', async () => {
      const answer = await place({ customerId: 'asha' });
      assert.deepEqual(codes(answer), ['400', 'INVALID_BODY']);
      assert.match(answer.body.errors[0].detail, /customer_name and total_price, or customerId and items/);
    });

    const WRONG: Record<string, [changes: object, ...codes: string[]]> = {
      'no customer': [{ customerId: undefined }, 'INVALID_CUSTOMER_ID /customerId'],
      'no items in its list': [{ items: [], customer_name: 'Asha' }, 'INVALID_ITEMS /items'],
      'items that are null': [{ items: null }, 'INVALID_ITEMS /items'],
      'a price below zero': [
        { items: [{ itemId: 'sushi-set', quantity: 1, unitPrice: -1 }] },
        'INVALID_ITEMS /items/0/unitPrice',
      ],
      'an item nobody has a price for': [
        { items: [{ itemId: 'sushi-set', quantity: 1 }] },
        'PRICE_UNKNOWN /items/0',
      ],
      'an item that is not there': [
        { items: [{ itemId: 'ghost', quantity: 1, unitPrice: 1 }] },
        'UNKNOWN_ITEM /items/0',
      ],
      'half an address': [
        { deliveryAddress: { street: '1' } },
        'INVALID_ADDRESS /deliveryAddress/city',
        'INVALID_ADDRESS /deliveryAddress/state',
        'INVALID_ADDRESS /deliveryAddress/zipCode',
      ],
    };
    for (const [what, [changes, ...faults]] of Object.entries(WRONG))
      it(`refuses ${what}`, async () => {
        assert.deepEqual(codes(await place({ ...BY_ITEMS, ...changes })), ['400', ...faults]);
        assert.equal(count(), 0);
      });

    it('is for customers themselves', async () => {
      assert.equal((await place(BY_ITEMS, 'asha')).status, 201);
      assert.deepEqual(codes(await place(BY_ITEMS, 'bela')), ['403', 'FORBIDDEN']);
    });
  });

  describe('the same again is answered the same,', () => {
    const key = { 'idempotency-key': 'k-1' };
    const later: Record<string, () => void> = {
      'though the restaurant has closed': () => {
        const r1 = room.catalogue.restaurants.get('r1')!;
        room.catalogue.restaurants.set('r1', { ...r1, isActive: false });
      },
      'though the dish is off the menu': () => {
        const thali = room.catalogue.menuItems.get('thali')!;
        room.catalogue.menuItems.set('thali', { ...thali, isActive: false });
      },
      'though the price has risen': () => {
        const thali = room.catalogue.menuItems.get('thali')!;
        room.catalogue.menuItems.set('thali', { ...thali, priceMinor: 9_900 });
      },
    };
    for (const [what, change] of Object.entries(later)) {
      it(`${what}: under its key`, async () => {
        const first = await order(ORDER, 'olga', key);
        change();
        const again = await order(ORDER, 'olga', key);
        assert.deepEqual([again.status, again.text], [201, first.text]);
        assert.equal(count(), 1);
      });
      it(`${what}: under its own id`, async () => {
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

  it('an order by its amount goes on as ever', async () => {
    const { customerName } = content();
    const placed = await ask('olga', 'POST', '/orders', { customer_name: customerName, total_price: 500 });
    assert.deepEqual([placed.status, placed.body.total_price], [201, 500]);
  });
});
