/** Tables of catalogue and stock: restaurants, menus, items in stock, and reservations. */
import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  doublePrecision,
  foreignKey,
  index,
  integer,
  pgTable,
  varchar,
} from 'drizzle-orm/pg-core';
import type { OrderId } from '../../../domain/order.ts';
import type { Lines, Restaurant } from '../../../service/inventory/ports.ts';
import { amount, jsonb, timestamptz, varcharC } from './columns.ts';

export const restaurants = pgTable(
  'restaurants',
  {
    restaurantId: varcharC('restaurant_id', { length: 64 }).primaryKey(),
    name: varchar('name', { length: 256 }).notNull(),
    isActive: boolean('is_active').notNull().default(true),
    /** Whether restaurant staff accept each order, or orders are accepted automatically. */
    acceptance: varchar('acceptance', { length: 16 })
      .$type<Restaurant['acceptance']>()
      .notNull()
      .default('automatic'),
    address: varchar('address', { length: 512 }).notNull().default(''),
    latitude: doublePrecision('latitude'),
    longitude: doublePrecision('longitude'),
    /** The usual time from acceptance to ready for pickup. */
    preparationS: integer('preparation_s').notNull().default(900),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
  },
  (table) => [
    check('restaurants_acceptance_check', sql`${table.acceptance} in ('automatic', 'manual')`),
    check('restaurants_latitude_check', sql`${table.latitude} between -90 and 90`),
    check('restaurants_longitude_check', sql`${table.longitude} between -180 and 180`),
    check('restaurants_preparation_s_check', sql`${table.preparationS} >= 0`),
    check('restaurants_check', sql`(${table.latitude} is null) = (${table.longitude} is null)`),
  ],
);

export const menuItems = pgTable(
  'menu_items',
  {
    itemId: varcharC('item_id', { length: 64 }).primaryKey(),
    restaurantId: varcharC('restaurant_id', { length: 64 }).notNull(),
    name: varchar('name', { length: 256 }).notNull(),
    price: amount('price').notNull(),
    isActive: boolean('is_active').notNull().default(true),
    createdAt: timestamptz('created_at').notNull().default(sql`now()`),
  },
  (table) => [
    foreignKey({
      name: 'menu_items_restaurant_id_fkey',
      columns: [table.restaurantId],
      foreignColumns: [restaurants.restaurantId],
    }),
    check('menu_items_price_check', sql`${table.price} >= 0`),
    index('menu_items_of_restaurant').on(table.restaurantId),
  ],
);

/** An item may have stock without being on a menu; the order's own price then applies. Fillfactor 50. */
export const inventoryItems = pgTable(
  'inventory_items',
  {
    itemId: varcharC('item_id', { length: 64 }).primaryKey(),
    stockCount: integer('stock_count').notNull(),
    threshold: integer('threshold_qty').notNull().default(0),
    updatedAt: timestamptz('updated_at').notNull().default(sql`now()`),
  },
  (table) => [
    check('inventory_items_stock_count_check', sql`${table.stockCount} >= 0`),
    check('inventory_items_threshold_qty_check', sql`${table.threshold} >= 0`),
  ],
);

/**
 * The stock reserved for an order. Only a reserved row can be released, once. An order that requested more than was in
 * stock is stored as rejected, so that it is not retried.
 */
export const reservations = pgTable(
  'reservations',
  {
    orderId: varcharC('order_id', { length: 64 }).$type<OrderId>().primaryKey(),
    lines: jsonb('lines').$type<Lines>().notNull(),
    state: varchar('state', { length: 16 }).$type<'reserved' | 'released' | 'rejected'>().notNull(),
    reservedAt: timestamptz('reserved_at').notNull().default(sql`now()`),
    releasedAt: timestamptz('released_at'),
  },
  (table) => [
    check('reservations_state_check', sql`${table.state} in ('reserved', 'released', 'rejected')`),
    check('reservations_check', sql`(${table.state} = 'released') = (${table.releasedAt} is not null)`),
  ],
);
