/** Tests of orders from `validated_orders`: parsing, pricing, and redelivered records. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NIL, v5 } from 'uuid';
import type { Catalogue } from '../../../internal/service/inventory/ports.ts';
import {
  readValidatedOrder,
  validatedOrdersConsumer,
} from '../../../internal/service/orders/place-validated.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import { nextId } from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';

const SAMPLE = {
  user_id: 'user-001',
  items: [
    { item_id: 'sushi-set', quantity: 1, price: 25.5 },
    { item_id: 'pho-bo', quantity: 2, price: 9.0 },
  ],
};
const eventIdFor = (name: string) => v5(name, NIL);

function setUp(prices: Record<string, number> = {}) {
  const store = memoryStore();
  const menuItem = (id: string) => ({
    id,
    restaurantId: 'r1',
    name: `the ${id}`,
    priceMinor: prices[id] as number,
    isActive: true,
  });
  const catalogue = {
    look: async () => ({
      restaurants: new Map(),
      menuItems: new Map(Object.keys(prices).map((id) => [id, menuItem(id)])),
      stocks: new Map(),
    }),
  } as unknown as Catalogue;
  const deps = {
    ...store,
    clock: manualClock(),
    log: recordingLog(),
    meter: recordingMeter(),
    newEventId: () => nextId('event'),
    catalogue,
    pricing: { discountAboveMinor: 5_000, discountPercent: 10, feeMinor: 500 },
    currency: 'USD',
    eventIdFor,
  };
  const consumer = subscriptionOf(deps, validatedOrdersConsumer(deps));
  return {
    store,
    deliver: (...records: unknown[]) =>
      consumer.handle({
        deliveries: records.map((record, n) => ({
          topic: 'validated_orders',
          key: '',
          position: `0-${n}`,
          record,
        })),
        settle: async () => {},
      }),
    stored: () => [...store.tables.orders.values()].map(({ order }) => order),
  };
}

test('a record whose total exceeds the largest amount becomes a dead letter, and the records beside it are placed', async () => {
  const { deliver, stored, store } = setUp();
  const lines = Array.from({ length: 100 }, (_, n) => ({
    item_id: `item-${n}`,
    quantity: 10_000,
    price: '9999999.99',
  }));
  await deliver(SAMPLE, { user_id: 'user-002', items: lines }, SAMPLE);
  assert.deepEqual(
    stored().map(({ customerId }) => customerId),
    ['user-001', 'user-001'],
  );
  assert.match(store.tables.letters[0]?.error ?? '', /the total must be at most 9999999999\.99/);
});

test('the documented example becomes an order of its user that costs 48.50', async () => {
  const { deliver, stored } = setUp();
  await deliver(SAMPLE);
  const [order] = stored();
  assert.deepEqual(
    [order?.customerId, order?.total, order?.items.map(({ unitPriceMinor }) => unitPriceMinor)],
    ['user-001', { minor: 4_850, currency: 'USD' }, [2_550, 900]],
  );
});

test('the catalogue’s price overrides the record’s price', async () => {
  const { deliver, stored } = setUp({ 'pho-bo': 1_000 });
  await deliver(SAMPLE);
  assert.equal(stored()[0]?.total.minor, 2_550 + 2_000 + 500);
});

test('a redelivered record is the same order, and another record is another order', async () => {
  const { deliver, stored, store } = setUp();
  await deliver(SAMPLE, SAMPLE);
  await deliver(SAMPLE, SAMPLE);
  assert.equal(stored().length, 2);
  assert.equal(store.bus.events.length, 2);
});

test('malformed records become dead letters, and the other orders are placed', async () => {
  const { deliver, stored, store } = setUp();
  await deliver('{"user_id": ', SAMPLE, { user_id: 'u', items: [] }, SAMPLE);
  assert.equal(stored().length, 2);
  assert.deepEqual(
    store.tables.letters.map(({ error }) => error),
    ['the record is not a JSON object', 'items must be a list of 1 to 100'],
  );
});

test('the fault of a record names every invalid field', () => {
  const record = { items: [{ item_id: '', quantity: 0 }, { item_id: 'a', quantity: 1.5, price: -1 }, null] };
  const read = readValidatedOrder({ topic: 't', position: '1', record }, eventIdFor, NOON);
  assert.ok('fault' in read);
  assert.deepEqual(read.fault.split('; '), [
    'user_id must be a string of 1 to 128 characters',
    'items[0].item_id must be an item id',
    'items[0].quantity must be a whole number from 1 to 10000',
    'items[0].price is required',
    'items[1].quantity must be a whole number from 1 to 10000',
    'items[1].price must not be negative',
    'items[2].item_id must be an item id',
    'items[2].quantity must be a whole number from 1 to 10000',
    'items[2].price is required',
  ]);
});
