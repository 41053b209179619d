/** The catalogue in memory: two restaurants with a menu each, and stock of an item that is on no menu. */
import { TiffinError } from '../../internal/domain/errors.ts';
import type { Catalogue, MenuItem, Restaurant, Stock } from '../../internal/service/inventory/ports.ts';
import { NOON } from './manual-clock.ts';

export interface MemoryCatalogue extends Catalogue {
  readonly restaurants: Map<string, Restaurant>;
  readonly menuItems: Map<string, MenuItem>;
  readonly stocks: Map<string, Stock>;
}

export const DISCOUNT_OF_TEN = { discountAboveMinor: 5_000, discountPercent: 10, feeMinor: 500 };

const restaurant = (id: string, name: string, isActive = true): Restaurant => ({
  ...{ id, name, isActive, acceptance: 'automatic', address: '', preparationS: 900 },
});
const item = (
  id: string,
  restaurantId: string,
  name: string,
  priceMinor: number,
  isActive = true,
): MenuItem => ({
  ...{ id, restaurantId, name, priceMinor, isActive },
});

export function memoryCatalogue(): MemoryCatalogue {
  const byId = <T extends { id: string }>(...all: T[]) => new Map(all.map((one) => [one.id, one]));
  const restaurants = byId(restaurant('r1', 'Tardeo Tiffins'), restaurant('r2', 'Night Owl', false));
  const menuItems = byId(
    item('thali', 'r1', 'Thali', 1_250),
    item('lassi', 'r1', 'Lassi', 250),
    item('feni', 'r1', 'Feni', 900, false),
    item('samosa', 'r2', 'Samosa', 150),
  );
  const stocks = new Map<string, Stock>();
  const stock = (itemId: string, stockCount: number, threshold = 0) =>
    stocks.set(itemId, { itemId, stockCount, threshold, updatedAt: NOON });
  for (const id of [...menuItems.keys(), 'sushi-set']) stock(id, 10);
  return {
    ...{ restaurants, menuItems, stocks },
    async look({ restaurants: wanted = [], items = [] }) {
      for (const id of [...wanted, ...items]) assertStorable(id);
      return {
        restaurants: those(restaurants, wanted),
        menuItems: those(menuItems, items),
        stocks: those(stocks, items),
      };
    },
    async addRestaurant(added) {
      restaurants.set(added.id, added);
    },
    async addItem(added, { stockCount, threshold }) {
      assertStorable(added.restaurantId);
      if (!restaurants.has(added.restaurantId))
        throw new TiffinError('UNKNOWN_RESTAURANT', `there is no restaurant '${added.restaurantId}'`);
      menuItems.set(added.id, added);
      stock(added.id, stockCount, threshold);
    },
  };
}

function those<T>(all: ReadonlyMap<string, T>, ids: readonly string[]): Map<string, T> {
  return new Map([...all].filter(([id]) => ids.includes(id)));
}

/** Throws the error of Postgres for text with a NUL character; no client may cause it. */
function assertStorable(id: string): void {
  if (id.includes('\0')) throw new Error('invalid byte sequence for encoding "UTF8": 0x00');
}
