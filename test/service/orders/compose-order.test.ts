/** Tests of composing an order with items from the client's lines and the catalogue. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import { composeContent, type OrderDraft } from '../../../internal/service/orders/compose-order.ts';
import { DISCOUNT_OF_TEN, memoryCatalogue } from '../../support/catalogue.ts';

type Line = OrderDraft['lines'][number];
const line = (itemId: string, quantity = 1, unitPriceMinor?: number): Line => ({
  itemId,
  quantity,
  ...(unitPriceMinor === undefined ? {} : { unitPriceMinor }),
});

function compose(lines: readonly Line[], rest: Partial<OrderDraft> = {}) {
  const deps = { catalogue: memoryCatalogue(), pricing: DISCOUNT_OF_TEN, currency: 'USD' };
  return composeContent(deps, { id: 'o-1' as OrderId, customerId: 'asha', lines, ...rest });
}

async function faultOf(composed: Promise<unknown>): Promise<TiffinError> {
  const fault = await composed.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(fault instanceof TiffinError, 'the order is refused');
  return fault;
}

const faults = async (composed: Promise<unknown>) =>
  (await faultOf(composed)).problems.map(({ code, pointer }) => `${code} ${pointer}`);

describe('an order with items', () => {
  test('an order has names and prices from the menu, and its total by the price rules', async () => {
    const content = await compose([line('thali', 4, 1), line('lassi', 2)], { restaurantId: 'r1' });
    assert.deepEqual(content, {
      id: 'o-1',
      customerId: 'asha',
      restaurantId: 'r1',
      items: [
        { itemId: 'thali', name: 'Thali', quantity: 4, unitPriceMinor: 1_250 },
        { itemId: 'lassi', name: 'Lassi', quantity: 2, unitPriceMinor: 250 },
      ],
      total: { minor: 5_450, currency: 'USD' },
      price: { baseMinor: 5_500, discountMinor: 550, feesMinor: 500 },
    });
  });

  test('an order has all other fields of the draft unchanged', async () => {
    const rest = {
      customerName: 'Asha',
      contact: { phone: '1' },
      paymentToken: 'tok',
      specialInstructions: 'no chilli',
      deliveryAddress: { street: '1 Churchgate', city: 'Mumbai', state: 'MH', zipCode: '400020' },
    };
    const { items: _, total: __, price: ___, id: ____, ...kept } = await compose([line('thali')], rest);
    assert.deepEqual(kept, { customerId: 'asha', ...rest });
  });

  test('an order with two lines of one item keeps both lines', async () => {
    const { items } = await compose([line('thali'), line('thali', 2)]);
    assert.deepEqual(
      items.map(({ quantity }) => quantity),
      [1, 2],
    );
  });

  test('an item that is on no menu has the client’s price and currency', async () => {
    const { items, total } = await compose([line('sushi-set', 2, 950)], { currency: 'EUR' });
    assert.deepEqual(items, [{ itemId: 'sushi-set', quantity: 2, unitPriceMinor: 950 }]);
    assert.deepEqual(total, { minor: 2_400, currency: 'EUR' });
  });

  test('an order has no restaurant unless the client names one', async () => {
    assert.equal('restaurantId' in (await compose([line('thali'), line('lassi')])), false);
  });

  test('an order without a restaurant can have items that a menu no longer offers', async () => {
    assert.equal((await compose([line('feni')])).total.minor, 1_400);
  });

  test('an order at an unknown or closed restaurant is refused', async () => {
    assert.equal(
      (await faultOf(compose([line('thali')], { restaurantId: 'r9' }))).code,
      'UNKNOWN_RESTAURANT',
    );
    const closed = await faultOf(compose([line('samosa')], { restaurantId: 'r2' }));
    assert.deepEqual([closed.code, /Night Owl/.test(closed.message)], ['RESTAURANT_CLOSED', true]);
  });

  test('an order with invalid lines is refused with the problem and pointer of every line', async () => {
    const lines = [line('ghost'), line('thali'), line('samosa'), line('feni'), line('sushi-set', 1, 950)];
    assert.deepEqual(await faults(compose(lines, { restaurantId: 'r1' })), [
      'UNKNOWN_ITEM /items/0',
      'ITEM_NOT_SOLD_HERE /items/2',
      'ITEM_NOT_SOLD_HERE /items/3',
      'ITEM_NOT_SOLD_HERE /items/4',
    ]);
    assert.deepEqual(
      await faults(compose([line('sushi-set'), line('ghost', 1, 5), line('sushi-set', 1, 0)])),
      ['PRICE_UNKNOWN /items/0', 'UNKNOWN_ITEM /items/1'],
    );
  });

  test('an order with items of the menu is refused in a currency other than the menu’s', async () => {
    const lines = [line('sushi-set', 1, 950), line('thali')];
    assert.deepEqual(await faults(compose(lines, { currency: 'JPY' })), ['INVALID_CURRENCY /currency']);
    assert.equal((await compose(lines, { currency: 'USD' })).total.currency, 'USD');
  });

  test('an order can cost the largest amount, and not a cent more', async () => {
    const rich = [line('sushi-set', 1, 999_999_999_999)];
    const free = { discountAboveMinor: 0, discountPercent: 0, feeMinor: 0 };
    const deps = { catalogue: memoryCatalogue(), pricing: free, currency: 'USD' };
    const draft = { id: 'o-1' as OrderId, lines: rich };
    assert.equal((await composeContent(deps, draft)).total.minor, 999_999_999_999);
    const more = { ...draft, lines: [...rich, line('sushi-set', 1, 1)] };
    assert.equal((await faultOf(composeContent(deps, more))).code, 'INVALID_INPUT');
    const most = Array.from({ length: 100 }, () => line('sushi-set', 10_000, 999_999_999_999));
    assert.equal((await faultOf(composeContent(deps, { ...draft, lines: most }))).code, 'INVALID_INPUT');
  });
});
