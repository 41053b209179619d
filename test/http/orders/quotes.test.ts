/** Quotes: the amount that is then charged, what there is too little of, and the same refusals as placing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { newPayment } from '../../../internal/domain/payment.ts';
import { NOON } from '../../support/manual-clock.ts';
import { codes, ORDER, orderingRoom } from './ordering.ts';

const MINUTE_MS = 60_000;
const at = (ms: number) => new Date(ms).toISOString();

describe('POST /v1/quotes', () => {
  const room = orderingRoom();
  const quote = (body: object) => room.api.ask('POST', '/v1/quotes', { body });

  it('says what is charged, part by part, to anyone, and stores nothing', async () => {
    const { status, body } = await quote({
      restaurantId: 'r1',
      items: [
        { itemId: 'thali', quantity: 5 },
        { itemId: 'lassi', quantity: 1 },
      ],
    });
    const { arrival, ...rest } = body;
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(rest, {
      restaurantId: 'r1',
      items: [
        { itemId: 'thali', name: 'Thali', quantity: 5, unitPrice: 12.5 },
        { itemId: 'lassi', name: 'Lassi', quantity: 1, unitPrice: 2.5 },
      ],
      ...{ base: 65, discount: 6.5, fees: 5, totalAmount: 63.5, currency: 'USD' },
      ...{ problems: [], dueAt: at(NOON) },
    });
    // A quarter of an hour in the kitchen, and some time on the road.
    const [from, to] = [Date.parse(arrival.from), Date.parse(arrival.to)];
    assert.ok(
      NOON + 15 * MINUTE_MS < from && from < to && to < NOON + 120 * MINUTE_MS,
      JSON.stringify(arrival),
    );
    assert.equal(room.count(), 0);
  });

  it('moves the window of arrival with the time that is asked for; a past time means now', async () => {
    const items = [{ itemId: 'thali', quantity: 1 }];
    const arrivalAt = async (ms?: number) => {
      const { body } = await quote({ restaurantId: 'r1', items, ...(ms ? { scheduledAt: at(ms) } : {}) });
      return [Date.parse(body.dueAt), Date.parse(body.arrival.from), Date.parse(body.arrival.to)];
    };
    const now = await arrivalAt();
    const later = await arrivalAt(NOON + 90 * MINUTE_MS);
    assert.deepEqual(
      later,
      now.map((ms) => ms + 90 * MINUTE_MS),
    );
    assert.deepEqual(await arrivalAt(NOON - MINUTE_MS), now);
  });

  it('names each line of which there is too little, lines of one item added up', async () => {
    const { body } = await quote({
      restaurantId: 'r1',
      items: [
        { itemId: 'thali', quantity: 6 },
        { itemId: 'lassi', quantity: 10 },
        { itemId: 'thali', quantity: 5 },
      ],
    });
    const detail = "only 10 of 'thali' are left";
    assert.deepEqual(body.problems, [
      { code: 'OUT_OF_STOCK', detail, pointer: '/items/0', left: 10 },
      { code: 'OUT_OF_STOCK', detail, pointer: '/items/2', left: 10 },
    ]);
  });

  it('refuses what placing refuses, in the same words', async () => {
    const refused: object[] = [
      { items: [{ itemId: 'nothing', quantity: 1 }] },
      {
        items: [
          { itemId: 'feni', quantity: 1 },
          { itemId: 'samosa', quantity: 1 },
        ],
      },
      { restaurantId: 'r2', items: [{ itemId: 'samosa', quantity: 1 }] },
      { restaurantId: 'nobody' },
      { currency: 'EUR' },
      { currency: 'JPY' },
      { items: [] },
      { items: [{ itemId: 'thali', quantity: 0 }] },
      { scheduledAt: 'tomorrow' },
    ];
    for (const changes of refused) {
      const quoted = await quote({ ...ORDER, ...changes });
      assert.deepEqual(
        codes(quoted),
        codes(await room.order({ ...ORDER, ...changes })),
        JSON.stringify(changes),
      );
      assert.ok(quoted.status >= 400);
    }
  });

  it('is what an order of the same items is then charged, whatever they cost', async () => {
    for (const [n, priceMinor] of [1, 3, 99, 1_250, 999_999].entries())
      await room.catalogue.addItem(
        { id: `dish-${n}`, restaurantId: 'r1', name: `Dish ${n}`, priceMinor, isActive: true },
        { stockCount: 9, threshold: 0 },
      );
    const line = fc.record({
      itemId: fc.constantFrom('thali', 'lassi', ...Array.from({ length: 5 }, (_, n) => `dish-${n}`)),
      quantity: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 10_000 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 8 }), async (items) => {
        const [quoted, placed] = [await quote({ ...ORDER, items }), await room.order({ ...ORDER, items })];
        if (quoted.status !== 200) {
          assert.deepEqual(codes(quoted), codes(placed));
          return;
        }
        const order = room.stored(placed.body.orderId) ?? assert.fail(JSON.stringify(placed.body));
        const charged = newPayment(order, NOON);
        assert.deepEqual(
          [Math.round(quoted.body.totalAmount * 100), quoted.body.currency],
          [charged.requestedMinor, charged.currency],
        );
      }),
      { numRuns: 60 },
    );
  });
});
