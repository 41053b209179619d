/** Catalogue, stock and prices over HTTP: adding restaurants and items, checking stock and calculating prices. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { jwtAuth } from '../../../internal/transport/http/auth.ts';
import { catalogueRoutes } from '../../../internal/transport/http/routes/inventory/catalogue-routes.ts';
import {
  checkRoutes,
  pricingRoutes,
} from '../../../internal/transport/http/routes/inventory/check-routes.ts';
import { nextId } from '../../support/builders.ts';
import { DISCOUNT_OF_TEN, memoryCatalogue } from '../../support/catalogue.ts';
import { NOON } from '../../support/manual-clock.ts';
import { type Answer, type Api, startApi } from '../api.ts';
import { bearer, SECRET } from '../tokens.ts';

function codes(answer: Answer): string[] {
  return [
    String(answer.status),
    ...answer.body.errors.map(({ code, pointer = '' }: Record<string, string>) =>
      `${code} ${pointer}`.trim(),
    ),
  ];
}

describe('catalogue and stock', () => {
  let api: Api;
  const catalogue = memoryCatalogue();
  const headers: Record<string, Record<string, string>> = {};
  before(async () => {
    api = await startApi({
      authenticate: jwtAuth({ secret: SECRET }),
      more: [
        ...catalogueRoutes({ catalogue, newId: () => nextId('added') }),
        ...checkRoutes({ catalogue }),
        ...pricingRoutes(DISCOUNT_OF_TEN),
      ],
    });
    for (const [subject, role] of [
      ['olga', 'operator'],
      ['r1', 'restaurant'],
      ['asha', 'customer'],
      ['ravi', 'rider'],
    ] as const)
      headers[subject] = await bearer(subject, role);
  });
  after(() => api.close());
  beforeEach(() => {
    const fresh = memoryCatalogue();
    for (const name of ['restaurants', 'menuItems', 'stocks'] as const) {
      catalogue[name].clear();
      for (const [id, one] of fresh[name]) catalogue[name].set(id, one as never);
    }
  });
  const ask = (who: string, method: string, path: string, body?: unknown) =>
    api.ask(method, path, { headers: headers[who]!, ...(body === undefined ? {} : { body }) });
  const addRestaurant = (body: unknown, who = 'olga') =>
    ask(who, 'POST', '/api/v1/inventory/add/restaurant', body);
  const addItem = (body: unknown, rid = 'r1', who = 'olga') =>
    ask(who, 'POST', `/api/v1/inventory/add/${rid}/item`, body);
  const DAL = { name: 'Dal', price: 4.5, initial_qty: 10 };

  describe('a restaurant', () => {
    test('a restaurant is added with a new id and automatic acceptance', async () => {
      const { status, body } = await addRestaurant({ name: ' Spice Hall ' });
      const { id, ...rest } = body;
      assert.deepEqual([status, rest], [201, { restaurant_id: id, name: 'Spice Hall', is_active: true }]);
      assert.deepEqual(catalogue.restaurants.get(id), {
        id,
        name: 'Spice Hall',
        isActive: true,
        acceptance: 'automatic',
        address: '',
        preparationS: 900,
      });
    });

    test('a restaurant may be added as closed, with a location and with manual acceptance', async () => {
      const place = { address: '1 Tardeo Road', location: { lat: 18.97, lng: 72.81 } };
      const more = { is_active: false, acceptance: 'manual', preparation_s: 60, unknown: 1 };
      const { body } = await addRestaurant({ name: 'Spice Hall', ...place, ...more });
      assert.deepEqual(catalogue.restaurants.get(body.id), {
        id: body.id,
        name: 'Spice Hall',
        isActive: false,
        acceptance: 'manual',
        address: '1 Tardeo Road',
        location: { latitude: 18.97, longitude: 72.81 },
        preparationS: 60,
      });
    });

    test('an invalid restaurant is refused with all of its faults', async () => {
      assert.deepEqual(
        codes(await addRestaurant({ is_active: 'yes', location: { lat: 91 }, preparation_s: -1 })),
        [
          '400',
          'INVALID_NAME /name',
          'INVALID_IS_ACTIVE /is_active',
          'INVALID_LOCATION /location/lat',
          'INVALID_LOCATION /location/lng',
          'INVALID_PREPARATION_S /preparation_s',
        ],
      );
      assert.deepEqual(codes(await addRestaurant([])), ['400', 'INVALID_BODY']);
    });

    test('a restaurant is added only by operators', async () => {
      for (const who of ['r1', 'asha', 'ravi'])
        assert.deepEqual(codes(await addRestaurant({ name: 'x' }, who)), ['403', 'FORBIDDEN'], who);
    });
  });

  describe('an item', () => {
    test('an item is added with a new id to the menu and to stock', async () => {
      const { status, body } = await addItem({ ...DAL, threshold_qty: 2 });
      const { id, ...rest } = body;
      assert.deepEqual(
        [status, rest],
        [201, { menu_item_id: id, name: 'Dal', price: 4.5, available_qty: 10 }],
      );
      assert.deepEqual(catalogue.menuItems.get(id), {
        id,
        restaurantId: 'r1',
        name: 'Dal',
        priceMinor: 450,
        isActive: true,
      });
      const { body: stock } = await ask('asha', 'GET', `/api/v1/inventory/${id}`);
      assert.deepEqual(stock, {
        menu_item_id: id,
        available_qty: 10,
        updated_at: new Date(NOON).toISOString(),
      });
      assert.equal(catalogue.stocks.get(id)?.threshold, 2);
    });

    test('an item may have available_qty instead of initial_qty, and its price as text', async () => {
      const { body } = await addItem({ name: 'Dal', price: '4.50', available_qty: 0 });
      assert.deepEqual([body.available_qty, body.price], [0, 4.5]);
    });

    test('an invalid item is refused with all of its faults, a missing quantity included', async () => {
      assert.deepEqual(codes(await addItem({})), [
        '400',
        'INVALID_NAME /name',
        'INVALID_PRICE /price',
        'INVALID_INITIAL_QTY /initial_qty',
      ]);
      assert.deepEqual(codes(await addItem({ ...DAL, price: 1.005, initial_qty: 1.5, threshold_qty: -1 })), [
        '400',
        'INVALID_PRICE /price',
        'INVALID_INITIAL_QTY /initial_qty',
        'INVALID_THRESHOLD_QTY /threshold_qty',
      ]);
      for (const body of [[], 7, null]) assert.deepEqual(codes(await addItem(body)), ['400', 'INVALID_BODY']);
    });

    test('an item for an unknown restaurant is 404', async () => {
      for (const rid of ['r9', '%00', 'a%20b', 'a'.repeat(65)])
        assert.deepEqual(codes(await addItem(DAL, rid)), ['404', 'UNKNOWN_RESTAURANT'], rid);
      assert.deepEqual(api.log.at('error'), []);
    });

    test('an item is added only by operators and by its restaurant', async () => {
      assert.equal((await addItem(DAL, 'r1', 'r1')).status, 201);
      assert.deepEqual(codes(await addItem(DAL, 'r2', 'r1')), ['403', 'FORBIDDEN']);
      for (const who of ['asha', 'ravi'])
        assert.deepEqual(codes(await addItem(DAL, 'r1', who)), ['403', 'FORBIDDEN'], who);
    });

    test('an unknown item is 404, even if its id is invalid', async () => {
      for (const id of ['ghost', '%00', 'a%20b', 'a'.repeat(65)])
        assert.deepEqual(
          codes(await ask('olga', 'GET', `/api/v1/inventory/${id}`)),
          ['404', 'ITEM_NOT_FOUND'],
          id,
        );
      assert.deepEqual(api.log.at('error'), []);
    });
  });

  describe('/check_inventory', () => {
    const check = (...items: [item_id: unknown, quantity: unknown][]) =>
      ask('asha', 'POST', '/check_inventory', {
        items: items.map(([item_id, quantity]) => ({ item_id, quantity })),
      });

    test('the check reports for each line whether its item is available', async () => {
      const { status, body } = await check(['thali', 10], ['sushi-set', 1]);
      assert.deepEqual(
        [status, body],
        [
          200,
          {
            all_available: true,
            details: [
              { item_id: 'thali', requested: 10, available: true, current_stock: 10 },
              { item_id: 'sushi-set', requested: 1, available: true, current_stock: 10 },
            ],
          },
        ],
      );
    });

    test('an unknown item has a stock of zero', async () => {
      const { body } = await check(['thali', 1], ['ghost', 1]);
      assert.equal(body.all_available, false);
      assert.deepEqual(body.details[1], {
        item_id: 'ghost',
        requested: 1,
        available: false,
        current_stock: 0,
      });
    });

    test('lines of the same item are checked by their total quantity', async () => {
      const { body } = await check(['thali', 6], ['lassi', 1], ['thali', 5]);
      assert.deepEqual(
        [body.all_available, body.details.map(({ available }: { available: boolean }) => available)],
        [false, [false, true, false]],
      );
    });

    test('an invalid check is refused with all of its faults', async () => {
      assert.deepEqual(codes(await check(['thali', 0], [7, '1'])), [
        '400',
        'INVALID_QUANTITY /items/0/quantity',
        'INVALID_ITEMS /items/1/item_id',
        'INVALID_QUANTITY /items/1/quantity',
      ]);
      assert.deepEqual(codes(await check()), ['400', 'INVALID_ITEMS /items']);
    });
  });

  describe('/calculate_price', () => {
    const priced = (items: unknown, order_id?: string) =>
      ask('asha', 'POST', '/calculate_price', { items, ...(order_id ? { order_id } : {}) });
    const one = (price: unknown, quantity = 1) => [{ item_id: 'x', quantity, price }];

    test('the price is calculated from the given unit prices, with its base, discount and fees', async () => {
      const { status, body } = await priced([...one(25.5), ...one('18.00', 1)], 'order-1');
      assert.deepEqual(
        [status, body],
        [
          200,
          { order_id: 'order-1', base_total: 43.5, discount_applied: 0, fees_applied: 5, final_total: 48.5 },
        ],
      );
    });

    test('a base total above fifty gets ten percent off, and one of exactly fifty does not', async () => {
      const { body: at } = await priced(one(50));
      assert.deepEqual(at, { base_total: 50, discount_applied: 0, fees_applied: 5, final_total: 55 });
      const { body: above } = await priced(one(50.01));
      assert.deepEqual(above, {
        base_total: 50.01,
        discount_applied: 5,
        fees_applied: 5,
        final_total: 50.01,
      });
    });

    test('a total above the maximum of an order is refused', async () => {
      const answer = await priced(one(9_999_999_999.99, 10_000));
      assert.deepEqual(codes(answer), ['400', 'INVALID_INPUT']);
    });

    test('an invalid calculation is refused with all of its faults', async () => {
      assert.deepEqual(codes(await priced([{ item_id: 'x', quantity: 1 }, ...one(-1)])), [
        '400',
        'INVALID_ITEMS /items/0/price',
        'INVALID_ITEMS /items/1/price',
      ]);
    });
  });
});
