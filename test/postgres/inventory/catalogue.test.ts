/** The catalogue on a real Postgres: what goes in comes out, many look-ups become few queries, and the seeds overwrite nothing. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import { clientOf } from '../../../internal/repository/postgres/database.ts';
import { postgresCatalogue } from '../../../internal/repository/postgres/inventory/catalogue.ts';
import { seedCatalogue } from '../../../internal/repository/postgres/inventory/seeds.ts';
import type { MenuItem, Restaurant } from '../../../internal/service/inventory/ports.ts';
import { CONNECTIONS, type Stockroom, stockroom } from '../../support/stockroom.ts';
import { until } from '../../support/until.ts';

const RESTAURANT: Restaurant = {
  id: 'r1',
  name: 'Tardeo “Tiffins”',
  isActive: true,
  acceptance: 'manual',
  address: '1 Tardeo Road',
  location: { latitude: 18.97, longitude: 72.81 },
  preparationS: 600,
};
/** 1.15 times a hundred is less than 115 as a double has it. */
const DAL: MenuItem = { id: 'dal', restaurantId: 'r1', name: 'Dal', priceMinor: 115, isActive: true };
const SHELF = { stockCount: 7, threshold: 2 };

describe('the catalogue', () => {
  let room: Stockroom;
  before(async () => {
    room = await stockroom();
  });
  after(() => room.close());
  beforeEach(() => room.clear());

  it('keeps restaurants, items and stock as they are', async () => {
    const { location: _, ...bare } = RESTAURANT;
    const nowhere: Restaurant = { ...bare, id: 'r2', isActive: false, acceptance: 'automatic' };
    await room.catalogue.addRestaurant(RESTAURANT);
    await room.catalogue.addRestaurant(nowhere);
    const dear: MenuItem = { ...DAL, id: 'dear', priceMinor: 999_999_999_999, isActive: false };
    await room.catalogue.addItem(DAL, SHELF);
    await room.catalogue.addItem(dear, { stockCount: 0, threshold: 0 });
    const found = await room.catalogue.look({
      restaurants: ['r1', 'r2', 'r3'],
      items: ['dal', 'dear', 'ghost'],
    });
    assert.deepEqual(found.restaurants, new Map(Object.entries({ r1: RESTAURANT, r2: nowhere })));
    assert.deepEqual(found.menuItems, new Map(Object.entries({ dal: DAL, dear })));
    const { updatedAt, ...shelf } = found.stocks.get('dal')!;
    assert.deepEqual(shelf, { itemId: 'dal', ...SHELF });
    assert.ok(Math.abs(updatedAt - Date.now()) < 60_000);
    assert.equal(found.stocks.size, 2);
  });

  it('puts no item on the menu of a restaurant that is not there, nor on a shelf', async () => {
    await assert.rejects(room.catalogue.addItem(DAL, SHELF), { code: 'UNKNOWN_RESTAURANT' });
    assert.deepEqual(await room.shelf(), {});
  });

  it('keeps no item of which only one half can be stored', async () => {
    await room.catalogue.addRestaurant(RESTAURANT);
    await room.stock({ dal: 1 });
    await assert.rejects(room.catalogue.addItem(DAL, SHELF), /duplicate key/);
    assert.equal((await room.catalogue.look({ items: ['dal'] })).menuItems.size, 0);
    assert.deepEqual(await room.shelf(), { dal: 1 });
  });

  it('answers many who ask at the same moment with one query for each table, each with what they asked for', async () => {
    await room.catalogue.addRestaurant(RESTAURANT);
    await room.catalogue.addItem(DAL, SHELF);
    let queries = 0;
    const counting = {
      query(statement: pg.QueryConfig, values: unknown[]) {
        queries += 1;
        return room.pool.query(statement, values);
      },
    };
    const { look } = postgresCatalogue(counting as unknown as pg.Pool);
    const found = await Promise.all(
      Array.from({ length: 200 }, (_, n) => look({ restaurants: ['r1'], items: [n % 2 ? 'dal' : 'ghost'] })),
    );
    assert.equal(queries, 3);
    for (const [n, { restaurants, menuItems }] of found.entries()) {
      assert.deepEqual(restaurants.get('r1'), RESTAURANT);
      if (n % 2) assert.deepEqual(menuItems.get('dal'), DAL);
      else assert.equal(menuItems.has('ghost'), false);
    }
  });

  it('answers the others where one asks for what cannot be asked', async () => {
    await room.stock({ dal: 1 });
    const [bad, good] = await Promise.allSettled([
      room.catalogue.look({ items: ['a\0b'] }),
      room.catalogue.look({ items: ['dal'] }),
    ]);
    assert.equal(bad.status, 'rejected');
    assert.equal(good.status === 'fulfilled' && good.value.stocks.get('dal')?.stockCount, 1);
  });
});

describe('the catalogue within transactions', () => {
  let room: Stockroom;
  before(async () => {
    room = await stockroom();
  });
  after(() => room.close());

  it('answers each on its own connection, when as many are open as there are connections', async () => {
    await room.stock({ dal: 1 });
    let open = 0;
    const found = await Promise.all(
      Array.from({ length: CONNECTIONS }, () =>
        room.transactions.run(async (tx) => {
          open += 1;
          await until('all are open', async () => open === CONNECTIONS);
          return room.catalogue.look({ items: ['dal'] }, tx);
        }),
      ),
    );
    assert.deepEqual(
      found.map(({ stocks }) => stocks.get('dal')?.stockCount),
      found.map(() => 1),
    );
  });
});

describe('the seeds', () => {
  let room: Stockroom;
  before(async () => {
    room = await stockroom();
  });
  after(() => room.close());
  beforeEach(() => room.clear());
  const riders = async () =>
    (await room.pool.query('SELECT rider_id FROM riders WHERE is_on_duty ORDER BY 1')).rows.map(
      ({ rider_id }) => rider_id,
    );
  const SHELVES = {
    'DRINK-003': 100,
    'PIZZA-001': 100,
    'burger-classic': 15,
    'fries-large': 30,
    'item-zero-stock': 0,
    'pho-bo': 20,
    'pizza-pepperoni': 5,
    'sushi-set': 10,
  };

  it('are what the reference documents begin with, once, though processes start together and again', async () => {
    let started: Promise<unknown> | undefined;
    await room.transactions.run(async (tx) => {
      // Whoever does not wait for the others goes on at the same moment as they.
      await clientOf(tx).query('LOCK TABLE restaurants');
      started = Promise.all([1, 2, 3, 4].map(() => seedCatalogue(room.pool)));
      await until('all four to wait', async () => {
        const { rowCount } = await room.pool.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return rowCount === 4;
      });
    });
    await started;
    await seedCatalogue(room.pool);
    assert.deepEqual(await room.shelf(), SHELVES);
    assert.deepEqual(await riders(), ['RIDER-789', 'RIDER-790', 'RIDER-791']);
    const { restaurants, menuItems } = await room.catalogue.look({
      restaurants: ['REST-456'],
      items: Object.keys(SHELVES),
    });
    const { acceptance, address, location } = restaurants.get('REST-456')!;
    assert.deepEqual([acceptance, address], ['manual', '2510 Lagoon Way, Anytown CA']);
    assert.ok(location);
    assert.deepEqual(
      [...menuItems.values()]
        .map(({ id, restaurantId, priceMinor }) => [id, restaurantId, priceMinor])
        .sort(),
      [
        ['DRINK-003', 'REST-456', 250],
        ['PIZZA-001', 'REST-456', 1_250],
      ],
    );
  });

  it('bring nothing back that was sold or removed', async () => {
    await seedCatalogue(room.pool);
    await room.pool.query('UPDATE inventory_items SET stock_count = 1');
    await room.pool.query(`DELETE FROM riders WHERE rider_id = 'RIDER-790'`);
    await seedCatalogue(room.pool);
    assert.deepEqual(Object.values(await room.shelf()), [1, 1, 1, 1, 1, 1, 1, 1]);
    assert.deepEqual(await riders(), ['RIDER-789', 'RIDER-791']);
  });

  it('add nothing to what is there: one restaurant, or one shelf, is enough', async () => {
    await room.stock({ dal: 3 });
    await seedCatalogue(room.pool);
    assert.deepEqual([await room.shelf(), await riders()], [{ dal: 3 }, []]);
    await room.clear();
    await room.catalogue.addRestaurant(RESTAURANT);
    await seedCatalogue(room.pool);
    assert.deepEqual([await room.shelf(), await riders()], [{}, []]);
  });
});
