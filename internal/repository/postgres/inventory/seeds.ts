/** What a fresh Tiffin has in its catalogue, so that the first requests of a newcomer work. */
import type pg from 'pg';
import { query } from '../database.ts';

/** Only where there is nothing at all: what an operator has changed or removed stays so. */
const SEED = {
  name: 'seed',
  text: `
    WITH fresh AS (
      SELECT WHERE NOT EXISTS (SELECT FROM restaurants) AND NOT EXISTS (SELECT FROM inventory_items)
    ), restaurant AS (
      INSERT INTO restaurants (restaurant_id, name, acceptance, address, latitude, longitude, preparation_s)
      SELECT 'REST-456', 'Lagoon Pizza', 'manual', '2510 Lagoon Way, Anytown CA', 37.7749, -122.4194, 900 FROM fresh
      RETURNING restaurant_id
    ), menu AS (
      INSERT INTO menu_items (item_id, restaurant_id, name, price)
      SELECT m.id, restaurant_id, m.name, m.price FROM restaurant,
        (VALUES ('PIZZA-001', 'Pizza Margherita', 12.50), ('DRINK-003', 'Lemonade', 2.50)) AS m(id, name, price)
    ), stock AS (
      INSERT INTO inventory_items (item_id, stock_count)
      SELECT s.id, s.count FROM fresh, (VALUES ('PIZZA-001', 100), ('DRINK-003', 100), ('sushi-set', 10), ('pho-bo', 20),
        ('pizza-pepperoni', 5), ('burger-classic', 15), ('fries-large', 30), ('item-zero-stock', 0)) AS s(id, count)
    )
    INSERT INTO riders (rider_id, name, latitude, longitude)
    SELECT r.id, r.name, r.lat, r.lng FROM fresh, (VALUES ('RIDER-789', 'Rider 789', 37.7760, -122.4180),
      ('RIDER-790', 'Rider 790', 37.7730, -122.4210), ('RIDER-791', 'Rider 791', 37.7790, -122.4150)) AS r(id, name, lat, lng)
    ON CONFLICT DO NOTHING`,
};

/** Processes that start together do it one after another. */
const LOCK = { name: 'seed-lock', text: 'SELECT pg_advisory_xact_lock(7337002)' };

export async function seedCatalogue(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await query(client, LOCK);
    await query(client, SEED);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}
