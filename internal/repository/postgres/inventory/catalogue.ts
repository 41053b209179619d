/** Stores restaurants, their menus and the stock counts; concurrent reads share queries. */
import { getTableColumns } from 'drizzle-orm';
import type pg from 'pg';
import { TiffinError } from '../../../domain/errors.ts';
import { groupCommit } from '../../../service/group-commit.ts';
import type { Catalogue, MenuItem, Restaurant, Stock } from '../../../service/inventory/ports.ts';
import { clientOf, isViolationOf } from '../database.ts';
import { attempt, type Connection, isAnyOf, on, prepared } from '../queries.ts';
import { inventoryItems, menuItems, restaurants } from '../schema/inventory.ts';

const findRestaurants = prepared('find-restaurants', (db) =>
  db.select().from(restaurants).where(isAnyOf(restaurants.restaurantId, 'ids')),
);
const findMenuItems = prepared('find-menu-items', (db) =>
  db.select().from(menuItems).where(isAnyOf(menuItems.itemId, 'ids')),
);
const { itemId, stockCount, threshold, updatedAt } = getTableColumns(inventoryItems);
const findStocks = prepared('find-stocks', (db) =>
  db.select({ itemId, stockCount, threshold, updatedAt }).from(inventoryItems).where(isAnyOf(itemId, 'ids')),
);

type Ids = Parameters<Catalogue['look']>[0];

export function postgresCatalogue(pool: pg.Pool): Catalogue {
  /** Every placement reads the catalogue; requests of the same moment share the queries. */
  const lookTogether = groupCommit(
    async (asked: readonly Ids[]) => {
      const found = await look(pool, asked);
      return asked.map(() => found);
    },
    { maxBatch: 500, concurrency: 2, maxWaiting: Number.POSITIVE_INFINITY },
  );
  return {
    // Uses the transaction's own connection: transactions that each waited for a second one could deadlock the pool.
    look: (ids, tx) => (tx ? look(clientOf(tx), [ids]) : lookTogether(ids)),
    async addRestaurant({ id, location, ...restaurant }) {
      const place = location ?? {};
      await attempt(
        on(pool)
          .insert(restaurants)
          .values({ restaurantId: id, ...restaurant, ...place }),
      );
    },
    async addItem({ id, priceMinor, ...item }, stock) {
      const added = on(pool).transaction(async (tx) => {
        await tx.insert(menuItems).values({ itemId: id, price: priceMinor, ...item });
        await tx.insert(inventoryItems).values({ itemId: id, ...stock });
      });
      await attempt(added).catch((error) => {
        if (!isViolationOf(error, 'menu_items_restaurant_id_fkey')) throw error;
        throw new TiffinError('UNKNOWN_RESTAURANT', `there is no restaurant '${item.restaurantId}'`);
      });
    },
  };
}

async function look(connection: Connection, asked: readonly Ids[]) {
  const restaurantIds = [...new Set(asked.flatMap(({ restaurants = [] }) => restaurants))];
  const ids = [...new Set(asked.flatMap(({ items = [] }) => items))];
  const [found, items, stocks] = await Promise.all([
    restaurantIds.length > 0 ? findRestaurants(connection, { ids: restaurantIds }) : [],
    ids.length > 0 ? findMenuItems(connection, { ids }) : [],
    ids.length > 0 ? findStocks(connection, { ids }) : [],
  ]);
  return {
    restaurants: new Map(found.map((row) => [row.restaurantId, toRestaurant(row)])),
    menuItems: new Map(items.map((row) => [row.itemId, toMenuItem(row)])),
    stocks: new Map<string, Stock>(stocks.map((row) => [row.itemId, row])),
  };
}

export function toRestaurant(row: typeof restaurants.$inferSelect): Restaurant {
  const { restaurantId: id, name, isActive, acceptance, address, latitude, longitude, preparationS } = row;
  const location = latitude === null || longitude === null ? {} : { location: { latitude, longitude } };
  return { id, name, isActive, acceptance, address, ...location, preparationS };
}

export function toMenuItem(row: typeof menuItems.$inferSelect): MenuItem {
  const { itemId: id, restaurantId, name, price: priceMinor, isActive } = row;
  return { id, restaurantId, name, priceMinor, isActive };
}
