/** The food-ordering dialect: placing and reading orders at `/v1/orders`. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OrderId } from '../../../internal/domain/order.ts';
import { after, LATER, movedTo, orderAt } from '../../support/builders.ts';
import { NOON } from '../../support/manual-clock.ts';
import type { Answer } from '../api.ts';

import { codes, DOCUMENTED, ORDER, orderingRoom } from './ordering.ts';

describe('food ordering', () => {
  const room = orderingRoom();
  const { ask, order, stored, count } = room;

  describe('POST /v1/orders', () => {
    it('an order with the documented body is placed', async () => {
      await room.catalogue.addRestaurant({
        ...{ id: 'REST-456', name: 'Pizza', isActive: true, acceptance: 'manual' },
        ...{ address: '2510 Lagoon Way, Anytown CA', preparationS: 900 },
      });
      for (const id of ['PIZZA-001', 'DRINK-003'])
        await room.catalogue.addItem(
          { id, restaurantId: 'REST-456', name: id, priceMinor: 400, isActive: true },
          { stockCount: 9, threshold: 0 },
        );
      const placed = await order(DOCUMENTED, 'olga', { accept: 'application/json' });
      const { orderId } = placed.body;
      assert.deepEqual(
        [placed.status, placed.body],
        [201, { orderId, status: 'PLACED', createdAt: new Date(NOON).toISOString() }],
      );
      assert.equal(placed.headers.location, `/v1/orders/${orderId}`);
      const { customerId, restaurantId, deliveryAddress, specialInstructions } = stored(orderId)!;
      assert.deepEqual(
        { customerId, restaurantId, deliveryAddress, specialInstructions },
        (({ items: _, ...rest }) => rest)(DOCUMENTED),
      );
    });

    it('an order stores its optional fields, and unknown fields are ignored', async () => {
      const more = {
        id: 'mine-1',
        scheduledAt: '2030-01-01T20:00:00+02:00',
        contact: { name: 'Asha', phone: '+91-22-0100' },
        payment: { token: 'tok_approve' },
        currency: 'USD',
        coupon: 'TEN',
      };
      assert.equal((await order({ ...ORDER, ...more })).status, 201);
      const kept = stored('mine-1')!;
      assert.deepEqual(
        [kept.contact, kept.paymentToken, kept.dueAt, kept.items, kept.total],
        [
          more.contact,
          'tok_approve',
          Date.UTC(2030, 0, 1, 18),
          [{ itemId: 'thali', name: 'Thali', quantity: 2, unitPriceMinor: 1_250 }],
          { minor: 3_000, currency: 'USD' },
        ],
      );
    });

    const { deliveryAddress: address } = ORDER;
    const WRONG: Record<string, [changes: object, ...codes: string[]]> = {
      'no address': [{ deliveryAddress: undefined }, 'INVALID_ADDRESS /deliveryAddress'],
      'an address that is text': [{ deliveryAddress: 'here' }, 'INVALID_ADDRESS /deliveryAddress'],
      'no zip code': [
        { deliveryAddress: { ...address, zipCode: undefined } },
        'INVALID_ADDRESS /deliveryAddress/zipCode',
      ],
      'an invalid zip code': [
        { deliveryAddress: { ...address, zipCode: '!' } },
        'INVALID_ADDRESS /deliveryAddress/zipCode',
      ],
      'a zip code that is a number': [
        { deliveryAddress: { ...address, zipCode: 12345 } },
        'INVALID_ADDRESS /deliveryAddress/zipCode',
      ],
      'no street and no city': [
        { deliveryAddress: { ...address, street: ' ', city: undefined } },
        'INVALID_ADDRESS /deliveryAddress/street',
        'INVALID_ADDRESS /deliveryAddress/city',
      ],
      'no items': [{ items: undefined }, 'INVALID_ITEMS /items'],
      'an empty list of items': [{ items: [] }, 'INVALID_ITEMS /items'],
      'items that are not a list': [{ items: {} }, 'INVALID_ITEMS /items'],
      '101 lines': [{ items: Array.from({ length: 101 }, () => ORDER.items[0]) }, 'TOO_MANY_ITEMS /items'],
      'a quantity of zero': [
        { items: [{ itemId: 'thali', quantity: 0 }] },
        'INVALID_QUANTITY /items/0/quantity',
      ],
      'a negative quantity': [
        { items: [{ itemId: 'thali', quantity: -1 }] },
        'INVALID_QUANTITY /items/0/quantity',
      ],
      'a fractional quantity': [
        { items: [{ itemId: 'thali', quantity: 0.5 }] },
        'INVALID_QUANTITY /items/0/quantity',
      ],
      'a quantity as text': [
        { items: [{ itemId: 'thali', quantity: '1' }] },
        'INVALID_QUANTITY /items/0/quantity',
      ],
      'no restaurant and no customer': [
        { restaurantId: undefined, customerId: '' },
        'INVALID_CUSTOMER_ID /customerId',
        'INVALID_RESTAURANT_ID /restaurantId',
      ],
      'a time without an offset': [
        { scheduledAt: '2030-01-01T20:00:00' },
        'INVALID_SCHEDULED_AT /scheduledAt',
      ],
      'a payment without a token': [{ payment: {} }, 'INVALID_PAYMENT /payment/token'],
      'an invalid currency': [{ currency: 'usd' }, 'INVALID_CURRENCY /currency'],
      'a currency without decimals': [{ currency: 'JPY' }, 'INVALID_CURRENCY /currency'],
      'a currency with three decimals': [{ currency: 'KWD' }, 'INVALID_CURRENCY /currency'],
      'a currency that differs from the menu': [{ currency: 'EUR' }, 'INVALID_CURRENCY /currency'],
    };
    for (const [what, [changes, ...faults]] of Object.entries(WRONG))
      it(`an order with ${what} is refused`, async () => {
        assert.deepEqual(codes(await order({ ...ORDER, ...changes })), ['400', ...faults]);
        assert.equal(count(), 0);
      });

    it('an order is refused for an item that is not sold, and for a closed or unknown restaurant', async () => {
      const items = [
        { itemId: 'ghost', quantity: 1 },
        { itemId: 'thali', quantity: 1 },
        { itemId: 'samosa', quantity: 1 },
      ];
      assert.deepEqual(codes(await order({ ...ORDER, items })), [
        '400',
        'UNKNOWN_ITEM /items/0',
        'ITEM_NOT_SOLD_HERE /items/2',
      ]);
      assert.deepEqual(codes(await order({ ...ORDER, restaurantId: 'r9' })), ['404', 'UNKNOWN_RESTAURANT']);
      assert.deepEqual(codes(await order({ ...ORDER, restaurantId: 'r2' })), ['409', 'RESTAURANT_CLOSED']);
      assert.equal(count(), 0);
    });

    it('an order is placed only by its customer or an operator', async () => {
      assert.equal((await order(ORDER, 'asha')).status, 201);
      for (const who of ['bela', 'r1', 'ravi'])
        assert.deepEqual(codes(await order(ORDER, who)), ['403', 'FORBIDDEN'], who);
      assert.equal(count(), 1);
    });

    it('an order takes effect once for an idempotency key, and once for a client-chosen id', async () => {
      const key = { 'idempotency-key': 'k-1' };
      const first = await order(ORDER, 'olga', key);
      const again = await order(ORDER, 'olga', key);
      assert.deepEqual([again.status, again.text], [201, first.text]);
      assert.deepEqual(
        [again.headers['idempotency-replayed'], again.headers.location],
        ['true', first.headers.location],
      );
      const other = { ...ORDER, specialInstructions: 'hot' };
      assert.deepEqual(codes(await order(other, 'olga', key)), ['422', 'IDEMPOTENCY_KEY_REUSED']);
      const own = { ...ORDER, id: 'mine-1' };
      assert.equal((await order(own)).text, (await order(own)).text);
      assert.deepEqual(codes(await order({ ...other, id: 'mine-1' })), ['409', 'ORDER_ID_TAKEN']);
      assert.equal(count(), 2);
    });
  });

  describe('GET /v1/orders/{id}', () => {
    const seed = (status: Parameters<typeof orderAt>[0], kind: 'everything' | 'items' = 'everything') => {
      room.store.seed({ ...orderAt(status, kind), id: 'o-1' as OrderId, customerId: 'asha' });
    };
    const get = (who = 'olga', id = 'o-1') => ask(who, 'GET', `/v1/orders/${id}`);
    const words = ({ body }: Answer) => body.timeline.map(({ status }: { status: string }) => status);

    it('the timeline of an order lists each status of the dialect once, with its time', async () => {
      seed('RIDER_ASSIGNED');
      const { status, headers, body } = await get();
      const version = stored('o-1')!.version;
      assert.deepEqual([status, headers.etag, body.status], [200, `"${version}.1.0"`, 'RIDER_ASSIGNED']);
      assert.deepEqual(words({ body } as Answer), ['PLACED', 'ACCEPTED', 'RIDER_ASSIGNED']);
      for (const { at } of body.timeline) assert.equal(new Date(at).toISOString(), at);
      assert.deepEqual([body.orderId, body.customerId, body.restaurantId], ['o-1', 'asha', 'r1']);
      assert.ok(!('eta' in body) && !('reason' in body));
    });

    it('an order is returned with the median of its ETA, and a failed order with its reason', async () => {
      seed('FAILED');
      const failed = await get();
      assert.deepEqual(
        [failed.body.status, failed.body.reason],
        ['FAILED', stored('o-1')!['reason' as never]],
      );
      seed('RIDER_ASSIGNED');
      const eta = { median: LATER, p90: LATER + 60_000, computedAt: NOON };
      const delivery = { state: 'ASSIGNED', riderId: 'ravi', eta } as const;
      room.views.set('o-1' as OrderId, { order: stored('o-1')!, delivery, revision: [2, 0] });
      assert.equal((await get()).body.eta, new Date(LATER).toISOString());
      assert.equal((await get('ravi')).status, 200, 'the rider of the order may see it');
    });

    it('the timeline of an order omits entries that changed no status', async () => {
      const moved = movedTo(orderAt('CREATED', 'everything'), 'PROCESSING', 'CONFIRMED');
      const noted = after(moved, { type: 'noted', at: LATER, fact: 'FAILED: TIMED_OUT' });
      room.store.seed({ ...noted, id: 'o-1' as OrderId });
      assert.deepEqual(words(await get()), ['PLACED']);
    });

    it('an order is read from its view, and from the order store if the view is missing or the cache is down', async () => {
      seed('ACCEPTED');
      await get();
      await get();
      assert.deepEqual(room.rebuilt, ['o-1'], 'the second read finds the view');
      room.isCacheAway = true;
      assert.equal((await get()).body.status, 'ACCEPTED');
    });

    it('an order is visible only to its customer, its restaurant and operators', async () => {
      seed('CONFIRMED');
      for (const who of ['asha', 'r1', 'olga']) assert.equal((await get(who)).status, 200, who);
      for (const who of ['bela', 'r2', 'ravi'])
        assert.deepEqual(codes(await get(who)), ['404', 'ORDER_NOT_FOUND'], who);
      for (const id of ['nowhere', '%00', 'a%20b'])
        assert.deepEqual(codes(await get('olga', id)), ['404', 'ORDER_NOT_FOUND'], id);
    });
  });
});
