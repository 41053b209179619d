/** Reads restaurants and menus for customers. */
import { and, asc, eq, getTableColumns, gt, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Menus } from '../../../service/inventory/ports.ts';
import { prepared } from '../queries.ts';
import { inventoryItems, menuItems, restaurants } from '../schema/inventory.ts';
import { toMenuItem, toRestaurant } from './catalogue.ts';

const page = prepared('page-of-restaurants', (db) =>
  db
    .select()
    .from(restaurants)
    .where(gt(restaurants.restaurantId, sql.placeholder('after')))
    .orderBy(asc(restaurants.restaurantId))
    .limit(sql.placeholder('limit')),
);

const menu = prepared('menu-of-restaurant', (db) =>
  db
    .select({ ...getTableColumns(menuItems), stockCount: inventoryItems.stockCount })
    .from(menuItems)
    .leftJoin(inventoryItems, eq(inventoryItems.itemId, menuItems.itemId))
    .where(and(eq(menuItems.restaurantId, sql.placeholder('restaurantId')), menuItems.isActive))
    .orderBy(menuItems.name, menuItems.itemId)
    .limit(sql.placeholder('limit')),
);

export function postgresMenus(pool: pg.Pool): Menus {
  return {
    restaurants: async (asked) => (await page(pool, { ...asked })).map(toRestaurant),
    menuOf: async (restaurantId, limit) =>
      (await menu(pool, { restaurantId, limit })).map(({ stockCount, ...row }) => ({
        ...toMenuItem(row),
        stockCount: stockCount ?? 0,
      })),
  };
}
