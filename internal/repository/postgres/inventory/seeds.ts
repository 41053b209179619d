/** Seeds an empty catalogue, so that a newcomer's first requests work. */
import type pg from 'pg';
import { attempt, on, takeAdvisoryLock } from '../queries.ts';
import { riders } from '../schema/delivery.ts';
import { inventoryItems, menuItems, restaurants } from '../schema/inventory.ts';

/** Advisory lock number (arbitrary): processes that start together seed one after another. */
const SEED_LOCK = 7_337_002;

const RESTAURANT = {
  restaurantId: 'REST-456',
  name: 'Lagoon Pizza',
  acceptance: 'manual',
  address: '2510 Lagoon Way, Anytown CA',
  latitude: 37.7749,
  longitude: -122.4194,
} as const;
const MENU = [
  { itemId: 'PIZZA-001', name: 'Pizza Margherita', price: 1250 },
  { itemId: 'DRINK-003', name: 'Lemonade', price: 250 },
];
const STOCK = {
  'PIZZA-001': 100,
  'DRINK-003': 100,
  'sushi-set': 10,
  'pho-bo': 20,
  'pizza-pepperoni': 5,
  'burger-classic': 15,
  'fries-large': 30,
  'item-zero-stock': 0,
};
const RIDERS = [
  { riderId: 'RIDER-789', name: 'Rider 789', latitude: 37.776, longitude: -122.418 },
  { riderId: 'RIDER-790', name: 'Rider 790', latitude: 37.773, longitude: -122.421 },
  { riderId: 'RIDER-791', name: 'Rider 791', latitude: 37.779, longitude: -122.415 },
];

/** Seeds only a completely empty catalogue, so an operator's changes and removals persist. */
export async function seedCatalogue(pool: pg.Pool): Promise<void> {
  const seeded = on(pool).transaction(async (tx) => {
    await takeAdvisoryLock(tx, SEED_LOCK);
    const [restaurant] = await tx.select().from(restaurants).limit(1);
    const [item] = await tx.select().from(inventoryItems).limit(1);
    if (restaurant || item) return;
    await tx.insert(restaurants).values(RESTAURANT);
    await tx.insert(menuItems).values(MENU.map((row) => ({ ...row, restaurantId: RESTAURANT.restaurantId })));
    const stock = Object.entries(STOCK).map(([itemId, stockCount]) => ({ itemId, stockCount }));
    await tx.insert(inventoryItems).values(stock);
    await tx.insert(riders).values(RIDERS).onConflictDoNothing();
  });
  await attempt(seeded);
}
