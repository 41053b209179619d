/** The food-ordering dialect: placing and reading at `/v1/orders`, and `POST /orders` with items. */
import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import type { OrderId } from '../../../internal/domain/order.ts';
import { orderPlacer } from '../../../internal/service/orders/place-order.ts';
import type { OrderView } from '../../../internal/service/views/ports.ts';
import { jwtAuth } from '../../../internal/transport/http/auth.ts';
import {
  foodOrderingRoutes,
  foodOrderView,
} from '../../../internal/transport/http/routes/orders/food-ordering-routes.ts';
import { after, content, LATER, movedTo, nextId, orderAt } from '../../support/builders.ts';
import { DISCOUNT_OF_TEN, type MemoryCatalogue, memoryCatalogue } from '../../support/catalogue.ts';
import { type MemoryStore, memoryStore } from '../../support/in-memory.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';
import { type Answer, type Api, startApi } from '../api.ts';
import { bearer, SECRET } from '../tokens.ts';

/** The document's own body. */
const DOCUMENTED = {
  customerId: 'CUST-123',
  restaurantId: 'REST-456',
  items: [
    { itemId: 'PIZZA-001', quantity: 1 },
    { itemId: 'DRINK-003', quantity: 2 },
  ],
  deliveryAddress: { street: '2510 Lagoon Way', city: 'Anytown', state: 'CA', zipCode: '12345' },
  specialInstructions: 'Extra cheese',
};
const ORDER = {
  customerId: 'asha',
  restaurantId: 'r1',
  items: [{ itemId: 'thali', quantity: 2 }],
  deliveryAddress: DOCUMENTED.deliveryAddress,
};
const BY_ITEMS = {
  customerId: 'asha',
  currency: 'USD',
  items: [{ itemId: 'sushi-set', quantity: 2, unitPrice: 9.5 }],
};

function codes(answer: Answer): string[] {
  for (const error of answer.body.errors) assert.equal(error.status, String(answer.status));
  return [
    String(answer.status),
    ...answer.body.errors.map(({ code, pointer = '' }: Record<string, string>) =>
      `${code} ${pointer}`.trim(),
    ),
  ];
}

describe('food ordering', () => {
  let api: Api;
  let store: MemoryStore;
  let catalogue: MemoryCatalogue;
  let views: Map<OrderId, OrderView>;
  let isCacheAway: boolean;
  let rebuilt: OrderId[];
  const headers: Record<string, Record<string, string>> = {};

  before(async () => {
    for (const [subject, role] of [
      ['asha', 'customer'],
      ['bela', 'customer'],
      ['r1', 'restaurant'],
      ['r2', 'restaurant'],
      ['ravi', 'rider'],
      ['olga', 'operator'],
    ] as const)
      headers[subject] = await bearer(subject, role);
  });
  beforeEach(async () => {
    store = memoryStore();
    catalogue = memoryCatalogue();
    views = new Map();
    rebuilt = [];
    isCacheAway = false;
    const clock = manualClock();
    const newEventId = () => nextId('event');
    const place = orderPlacer(
      { orders: store.orders, clock, meter: recordingMeter(), newEventId },
      { maxBatch: 100, concurrency: 2, maxWaiting: 100 },
    );
    const deps = { ...store, clock, newEventId, newOrderId: () => nextId('food'), place, catalogue };
    const ordering = { ...deps, pricing: DISCOUNT_OF_TEN, currency: 'USD' };
    const reading = {
      log: recordingLog(),
      viewSource: {
        async read(ids: readonly OrderId[]) {
          rebuilt.push(...ids);
          return (await store.orders.find(ids)).map((order): OrderView => ({ order, revision: [1, 0] }));
        },
      },
      views: {
        get: async (id: OrderId) => (isCacheAway ? undefined : views.get(id)),
        async put(all: readonly OrderView[]) {
          if (isCacheAway) throw new Error('away');
          for (const view of all) views.set(view.order.id, view);
        },
      },
    };
    api = await startApi({
      authenticate: jwtAuth({ secret: SECRET }),
      routes: ordering,
      more: [...foodOrderingRoutes({ ...ordering, now: () => clock.now() }), foodOrderView(reading)],
    });
  });
  afterEach(() => api.close());

  const ask = (who: string, method: string, path: string, body?: unknown, more = {}) =>
    api.ask(method, path, {
      headers: { ...headers[who], ...more },
      ...(body === undefined ? {} : { body }),
    });
  const order = (body: unknown, who = 'olga', more = {}) => ask(who, 'POST', '/v1/orders', body, more);
  const stored = (id: string) => store.tables.orders.get(id as OrderId)?.order;
  const count = () => store.tables.orders.size;

  describe('POST /v1/orders', () => {
    it('takes the document’s own body', async () => {
      await catalogue.addRestaurant({
        ...{ id: 'REST-456', name: 'Pizza', isActive: true, acceptance: 'manual' },
        ...{ address: '2510 Lagoon Way, Anytown CA', preparationS: 900 },
      });
      for (const id of ['PIZZA-001', 'DRINK-003'])
        await catalogue.addItem(
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

    it('keeps all that may come beside it, and ignores what is none of its fields', async () => {
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
      'a zip code that is none': [
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
      'an empty list': [{ items: [] }, 'INVALID_ITEMS /items'],
      'items that are no list': [{ items: {} }, 'INVALID_ITEMS /items'],
      '101 lines': [{ items: Array.from({ length: 101 }, () => ORDER.items[0]) }, 'TOO_MANY_ITEMS /items'],
      'none of an item': [
        { items: [{ itemId: 'thali', quantity: 0 }] },
        'INVALID_QUANTITY /items/0/quantity',
      ],
      'less than none': [
        { items: [{ itemId: 'thali', quantity: -1 }] },
        'INVALID_QUANTITY /items/0/quantity',
      ],
      'half of one': [{ items: [{ itemId: 'thali', quantity: 0.5 }] }, 'INVALID_QUANTITY /items/0/quantity'],
      'a number in quotes': [
        { items: [{ itemId: 'thali', quantity: '1' }] },
        'INVALID_QUANTITY /items/0/quantity',
      ],
      'no restaurant, no customer': [
        { restaurantId: undefined, customerId: '' },
        'INVALID_CUSTOMER_ID /customerId',
        'INVALID_RESTAURANT_ID /restaurantId',
      ],
      'a naive time': [{ scheduledAt: '2030-01-01T20:00:00' }, 'INVALID_SCHEDULED_AT /scheduledAt'],
      'a payment without a token': [{ payment: {} }, 'INVALID_PAYMENT /payment/token'],
      'a currency that is none': [{ currency: 'usd' }, 'INVALID_CURRENCY /currency'],
      'another currency than the menu’s': [{ currency: 'EUR' }, 'INVALID_CURRENCY /currency'],
    };
    for (const [what, [changes, ...faults]] of Object.entries(WRONG))
      it(`refuses ${what}`, async () => {
        assert.deepEqual(codes(await order({ ...ORDER, ...changes })), ['400', ...faults]);
        assert.equal(count(), 0);
      });

    it('refuses what the restaurant does not sell, and a restaurant that is closed or is not there', async () => {
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

    it('is for customers themselves, and operators', async () => {
      assert.equal((await order(ORDER, 'asha')).status, 201);
      for (const who of ['bela', 'r1', 'ravi'])
        assert.deepEqual(codes(await order(ORDER, who)), ['403', 'FORBIDDEN'], who);
      assert.equal(count(), 1);
    });

    it('is done once for a key, and for an id of the client’s own', async () => {
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
      store.seed({ ...orderAt(status, kind), id: 'o-1' as OrderId, customerId: 'asha' });
    };
    const get = (who = 'olga', id = 'o-1') => ask(who, 'GET', `/v1/orders/${id}`);
    const words = ({ body }: Answer) => body.timeline.map(({ status }: { status: string }) => status);

    it('shows the order in the dialect’s words, each once, with its times', async () => {
      seed('RIDER_ASSIGNED');
      const { status, headers, body } = await get();
      const version = stored('o-1')!.version;
      assert.deepEqual([status, headers.etag, body.status], [200, `"${version}"`, 'RIDER_ASSIGNED']);
      assert.deepEqual(words({ body } as Answer), ['PLACED', 'ACCEPTED', 'RIDER_ASSIGNED']);
      for (const { at } of body.timeline) assert.equal(new Date(at).toISOString(), at);
      assert.deepEqual([body.orderId, body.customerId, body.restaurantId], ['o-1', 'asha', 'r1']);
      assert.ok(!('eta' in body) && !('reason' in body));
    });

    it('shows the median of the ETA, and why an order failed', async () => {
      seed('FAILED');
      const failed = await get();
      assert.deepEqual(
        [failed.body.status, failed.body.reason],
        ['FAILED', stored('o-1')!['reason' as never]],
      );
      seed('RIDER_ASSIGNED');
      const eta = { median: LATER, p90: LATER + 60_000, computedAt: NOON };
      const delivery = { state: 'ASSIGNED', riderId: 'ravi', eta } as const;
      views.set('o-1' as OrderId, { order: stored('o-1')!, delivery, revision: [2, 0] });
      assert.equal((await get()).body.eta, new Date(LATER).toISOString());
      assert.equal((await get('ravi')).status, 200, 'whoever carries it may see it');
    });

    it('leaves out what moved nothing', async () => {
      const moved = movedTo(orderAt('CREATED', 'everything'), 'PROCESSING', 'CONFIRMED');
      const noted = after(moved, { type: 'noted', at: LATER, fact: 'FAILED: TIMED_OUT' });
      store.seed({ ...noted, id: 'o-1' as OrderId });
      assert.deepEqual(words(await get()), ['PLACED']);
    });

    it('is read from the view, and from the truth where that has gone or is away', async () => {
      seed('ACCEPTED');
      await get();
      await get();
      assert.deepEqual(rebuilt, ['o-1'], 'the second time it is there');
      isCacheAway = true;
      assert.equal((await get()).body.status, 'ACCEPTED');
    });

    it('is for whom it concerns', async () => {
      seed('CONFIRMED');
      for (const who of ['asha', 'r1', 'olga']) assert.equal((await get(who)).status, 200, who);
      for (const who of ['bela', 'r2', 'ravi'])
        assert.deepEqual(codes(await get(who)), ['404', 'ORDER_NOT_FOUND'], who);
      for (const id of ['nowhere', '%00', 'a%20b'])
        assert.deepEqual(codes(await get('olga', id)), ['404', 'ORDER_NOT_FOUND'], id);
    });
  });

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
        const r1 = catalogue.restaurants.get('r1')!;
        catalogue.restaurants.set('r1', { ...r1, isActive: false });
      },
      'though the dish is off the menu': () => {
        const thali = catalogue.menuItems.get('thali')!;
        catalogue.menuItems.set('thali', { ...thali, isActive: false });
      },
      'though the price has risen': () => {
        const thali = catalogue.menuItems.get('thali')!;
        catalogue.menuItems.set('thali', { ...thali, priceMinor: 9_900 });
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
