/** Restaurants and menus for anyone: in pages, with what is left, and from a cache while nothing has changed. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type EveryService, startEveryService } from '../every-service.ts';

describe('the menus', () => {
  let every: EveryService;
  before(async () => {
    every = await startEveryService({ SEED: 'none' });
    const { catalogue } = every.wiring;
    for (const id of ['a', 'b', 'c'])
      await catalogue.addRestaurant({
        ...{ id, name: `Kitchen ${id}`, isActive: id !== 'b', acceptance: 'manual', preparationS: 600 },
        ...(id === 'a'
          ? { address: '1 Main St', location: { latitude: 18.9, longitude: 72.8 } }
          : { address: '' }),
      });
    const dish = (id: string, stockCount: number, changes: object = {}) =>
      catalogue.addItem(
        { id, restaurantId: 'a', name: id, priceMinor: 1_250, isActive: true, ...changes },
        { stockCount, threshold: 0 },
      );
    await dish('thali', 3);
    await dish('dal', 5_000, { priceMinor: 5 });
    await dish('gone', 9, { isActive: false });
    await dish('sold-out', 0);
    await dish('elsewhere', 9, { restaurantId: 'c' });
  });
  after(() => every?.close());

  async function get(path: string, headers: Record<string, string> = {}) {
    const answer = await fetch(every.url + path, { headers });
    const text = await answer.text();
    // biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary response bodies
    return { answer, status: answer.status, body: (text ? JSON.parse(text) : undefined) as any };
  }

  it('list the restaurants page by page, each once', async () => {
    const first = await get('/v1/restaurants?limit=2');
    assert.deepEqual(first.body, {
      restaurants: [
        {
          ...{ restaurantId: 'a', name: 'Kitchen a', isOpen: true, address: '1 Main St', preparationS: 600 },
          location: { lat: 18.9, lng: 72.8 },
        },
        { restaurantId: 'b', name: 'Kitchen b', isOpen: false, preparationS: 600 },
      ],
      nextCursor: 'b',
    });
    const second = await get('/v1/restaurants?limit=2&cursor=b');
    assert.deepEqual([second.body.restaurants[0].restaurantId, second.body.nextCursor], ['c', null]);
    assert.equal((await get('/v1/restaurants?cursor=%20')).status, 400);
  });

  it('show what a restaurant sells, what it costs, and what is left up to twenty', async () => {
    const { body } = await get('/v1/restaurants/a/menu');
    assert.deepEqual([body.restaurant.name, body.currency], ['Kitchen a', 'USD']);
    assert.deepEqual(body.items, [
      { itemId: 'dal', name: 'dal', price: 0.05, left: 20 },
      { itemId: 'sold-out', name: 'sold-out', price: 12.5, left: 0 },
      { itemId: 'thali', name: 'thali', price: 12.5, left: 3 },
    ]);
    assert.deepEqual((await get('/v1/restaurants/b/menu')).body.items, []);
    for (const id of ['nobody', '%20'])
      assert.equal((await get(`/v1/restaurants/${id}/menu`)).body.errors[0].code, 'UNKNOWN_RESTAURANT');
  });

  it('are not sent again while they are the same, and are when stock has changed', async () => {
    const path = '/v1/restaurants/c/menu';
    const { answer } = await get(path);
    assert.equal(answer.headers.get('cache-control'), 'public, max-age=10');
    // fetch would add `no-cache` to a conditional request, and thereby ask for the whole answer.
    const known = { 'if-none-match': answer.headers.get('etag') ?? '', 'cache-control': 'max-age=0' };
    assert.equal((await get(path, known)).status, 304);
    const { catalogue } = every.wiring;
    await catalogue.addItem(
      { id: 'soup', restaurantId: 'c', name: 'Soup', priceMinor: 300, isActive: true },
      { stockCount: 1, threshold: 0 },
    );
    assert.equal((await get(path, known)).status, 200);
  });
});
