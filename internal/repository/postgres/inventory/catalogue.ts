/** Restaurants, their menus and what is in stock. */
import type pg from 'pg';
import { TiffinError } from '../../../domain/errors.ts';
import { toDecimalText } from '../../../domain/money.ts';
import { groupCommit } from '../../../service/group-commit.ts';
import type { Catalogue, MenuItem, Restaurant, Stock } from '../../../service/inventory/ports.ts';
import { type Queryable, query } from '../database.ts';
import { clientOf } from '../transactions.ts';

// Input: restaurant ids, item ids. Output: each thing that exists as one row of JSON.
const LOOK = {
  name: 'look-into-catalogue',
  text: `
    SELECT 'restaurant' AS kind, restaurant_id AS id, to_json(r) AS found FROM restaurants r WHERE restaurant_id = ANY($1::text[])
    UNION ALL SELECT 'item', item_id, to_json(m) FROM menu_items m WHERE item_id = ANY($2::text[])
    UNION ALL SELECT 'stock', item_id, to_json(s) FROM inventory_items s WHERE item_id = ANY($2::text[])`,
};

const ADD_RESTAURANT = {
  name: 'add-restaurant',
  text: `INSERT INTO restaurants (restaurant_id, name, is_active, acceptance, address, latitude, longitude, preparation_s)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
};

// Input: the item and its stock. Output: a row, or none where there is no such restaurant.
const ADD_ITEM = {
  name: 'add-item',
  text: `
    WITH item AS (
      INSERT INTO menu_items (item_id, restaurant_id, name, price, is_active)
      SELECT $1, restaurant_id, $3, $4::numeric, $5 FROM restaurants WHERE restaurant_id = $2
      RETURNING item_id)
    INSERT INTO inventory_items (item_id, stock_count, threshold_qty) SELECT item_id, $6, $7 FROM item RETURNING item_id`,
};

/** A row of its table as JSON: a time is text, NUMERIC a number. */
type FoundRow = { id: string } & (
  | { kind: 'restaurant'; found: RestaurantRow }
  | { kind: 'item'; found: MenuItemRow }
  | { kind: 'stock'; found: StockRow }
);

interface RestaurantRow {
  restaurant_id: string;
  name: string;
  is_active: boolean;
  acceptance: Restaurant['acceptance'];
  address: string;
  preparation_s: number;
  latitude: number | null;
  longitude: number | null;
}

interface MenuItemRow {
  item_id: string;
  restaurant_id: string;
  name: string;
  price: number;
  is_active: boolean;
}

interface StockRow {
  item_id: string;
  stock_count: number;
  threshold_qty: number;
  updated_at: string;
}

type Ids = Parameters<Catalogue['look']>[0];

export function postgresCatalogue(pool: pg.Pool): Catalogue {
  /** Placing asks for every order; those that ask at the same moment are answered with one query. */
  const lookTogether = groupCommit(
    async (asked: readonly Ids[]) => {
      const found = await look(pool, asked);
      return asked.map(() => found);
    },
    { maxBatch: 500, concurrency: 2, maxWaiting: Number.POSITIVE_INFINITY },
  );
  return {
    // On the transaction's own connection: if each waited for a second one, as many as there are would wait for ever.
    look: (ids, tx) => (tx ? look(clientOf(tx), [ids]) : lookTogether(ids)),
    async addRestaurant({ id, name, isActive, acceptance, address, location, preparationS }) {
      const place = [location?.latitude ?? null, location?.longitude ?? null];
      await query(pool, ADD_RESTAURANT, [id, name, isActive, acceptance, address, ...place, preparationS]);
    },
    async addItem({ id, restaurantId, name, priceMinor, isActive }, { stockCount, threshold }) {
      const values = [id, restaurantId, name, toDecimalText(priceMinor), isActive, stockCount, threshold];
      const { rowCount } = await query(pool, ADD_ITEM, values);
      if (rowCount !== 1)
        throw new TiffinError('UNKNOWN_RESTAURANT', `there is no restaurant '${restaurantId}'`);
    },
  };
}

async function look(db: Queryable, asked: readonly Ids[]) {
  const restaurants = new Set(asked.flatMap(({ restaurants = [] }) => restaurants));
  const items = new Set(asked.flatMap(({ items = [] }) => items));
  const { rows } = await query<FoundRow>(db, LOOK, [[...restaurants], [...items]]);
  const found = {
    restaurants: new Map<string, Restaurant>(),
    menuItems: new Map<string, MenuItem>(),
    stocks: new Map<string, Stock>(),
  };
  for (const row of rows) {
    if (row.kind === 'restaurant') found.restaurants.set(row.id, toRestaurant(row.found));
    else if (row.kind === 'item') found.menuItems.set(row.id, toMenuItem(row.found));
    else found.stocks.set(row.id, toStock(row.found));
  }
  return found;
}

function toRestaurant(row: RestaurantRow): Restaurant {
  return {
    id: row.restaurant_id,
    name: row.name,
    isActive: row.is_active,
    acceptance: row.acceptance,
    address: row.address,
    ...(row.latitude === null || row.longitude === null
      ? {}
      : { location: { latitude: row.latitude, longitude: row.longitude } }),
    preparationS: row.preparation_s,
  };
}

function toMenuItem(row: MenuItemRow): MenuItem {
  return {
    id: row.item_id,
    restaurantId: row.restaurant_id,
    name: row.name,
    // It has two decimals.
    priceMinor: Math.round(row.price * 100),
    isActive: row.is_active,
  };
}

function toStock(row: StockRow): Stock {
  return {
    itemId: row.item_id,
    stockCount: row.stock_count,
    threshold: row.threshold_qty,
    updatedAt: Date.parse(row.updated_at),
  };
}
