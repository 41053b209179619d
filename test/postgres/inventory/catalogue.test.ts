/** The catalogue on a real Postgres: reading and adding, shared queries, seeds that overwrite nothing. */
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
/** Its price tests rounding: as a double, 1.15 * 100 is less than 115. */
const DAL: MenuItem = { id: 'dal', restaurantId: 'r1', name: 'Dal', priceMinor: 115, isActive: true };
const SHELF = { stockCount: 7, threshold: 2 };

describe('the catalogue', () => {
  let room: Stockroom;
  before(async () => {
    room = await stockroom();
  });
  after(() => room.close());
  beforeEach(() => room.clear());

  it('restaurants, menu items and stock are read back as they were added', async () => {
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

  it('an item of an unknown restaurant is refused, and its stock is not stored', async () => {
    await assert.rejects(room.catalogue.addItem(DAL, SHELF), { code: 'UNKNOWN_RESTAURANT' });
    assert.deepEqual(await room.shelf(), {});
  });

  it('an item is not stored if its stock cannot be stored', async () => {
    await room.catalogue.addRestaurant(RESTAURANT);
    await room.stock({ dal: 1 });
    await assert.rejects(room.catalogue.addItem(DAL, SHELF), /duplicate key/);
    assert.equal((await room.catalogue.look({ items: ['dal'] })).menuItems.size, 0);
    assert.deepEqual(await room.shelf(), { dal: 1 });
  });

  it('concurrent look-ups share one query for each table, and each gets the rows that it asked for', async () => {
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

  it('a look-up with an invalid id does not make concurrent look-ups fail', async () => {
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

  it('a look-up inside a transaction uses the connection of that transaction, so it succeeds even if no other is free', async () => {
    await room.stock({ dal: 1 });
    let open = 0;
    const found = await Promise.all(
      Array.from({ length: CONNECTIONS }, () =>
        room.transactions.run(async (tx) => {
          open += 1;
          await until('all transactions to be open', async () => open === CONNECTIONS);
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

  it('an empty catalogue is seeded with the reference data once, even if processes start together or again', async () => {
    let started: Promise<unknown> | undefined;
    await room.transactions.run(async (tx) => {
      // Without an advisory lock, all four would find the catalogue empty at the same moment.
      await clientOf(tx).query('LOCK TABLE restaurants');
      started = Promise.all([1, 2, 3, 4].map(() => seedCatalogue(room.pool)));
      await until('all four to wait for a lock', async () => {
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

  it('seeding again restores neither sold stock nor removed riders', async () => {
    await seedCatalogue(room.pool);
    await room.pool.query('UPDATE inventory_items SET stock_count = 1');
    await room.pool.query(`DELETE FROM riders WHERE rider_id = 'RIDER-790'`);
    await seedCatalogue(room.pool);
    assert.deepEqual(Object.values(await room.shelf()), [1, 1, 1, 1, 1, 1, 1, 1]);
    assert.deepEqual(await riders(), ['RIDER-789', 'RIDER-791']);
  });

  it('a catalogue that has only one restaurant, or only one stocked item, is not seeded', async () => {
    await room.stock({ dal: 3 });
    await seedCatalogue(room.pool);
    assert.deepEqual([await room.shelf(), await riders()], [{ dal: 3 }, []]);
    await room.clear();
    await room.catalogue.addRestaurant(RESTAURANT);
    await seedCatalogue(room.pool);
    assert.deepEqual([await room.shelf(), await riders()], [{}, []]);
  });
});
