/** The world around a run's processes: which of them serves what, restaurants, riders and readers. */
import { setTimeout as pause } from 'node:timers/promises';
import { answerTickets, look, ride, serveCounter } from '../../cmd/demo/town.ts';
import type { World } from '../../cmd/demo/world.ts';
import type { ChaosClient } from './clients.ts';
import type { Kitchen } from './customers.ts';

export const KITCHEN_STOCK = 100_000;

/** The process that serves a path. */
export function serverOf(method: string, url: string): string {
  if (url.startsWith('/v1/restaurants/')) return 'restaurant-service';
  if (url.startsWith('/v1/riders/')) return 'delivery-service';
  if (url.startsWith('/api/v1/inventory/')) return 'inventory-service';
  if (url.startsWith('/webhooks/') || url.endsWith('/payment')) return 'payment-service';
  return method === 'GET' && url.startsWith('/v1/orders/') ? 'query-service' : 'order-service';
}

/** A restaurant whose orders are rejected. */
export async function addKitchen(client: ChaosClient): Promise<Kitchen> {
  const location = { lat: 18.936, lng: 72.826 };
  const restaurant = { name: 'Closed Kitchen', acceptance: 'manual', address: '9 Demo Road', location };
  const added = await client.ask('POST', '/api/v1/inventory/add/restaurant', restaurant);
  const restaurantId: string = added.body.id;
  const item = { name: 'Dish', price: 5, initial_qty: KITCHEN_STOCK };
  const menu = await client.ask('POST', `/api/v1/inventory/add/${restaurantId}/item`, item);
  return { restaurantId, itemId: menu.body.id };
}

const ROUNDS = [
  { round: answerTickets, everyMs: 500 },
  { round: serveCounter, everyMs: 700 },
  { round: ride, everyMs: 1_200 },
  { round: (world: World) => look(world, 20), everyMs: 1_500 },
];

/** Restaurants, riders and readers, until it is called. */
export function openTown(world: World): () => Promise<void> {
  let open = true;
  const rounds = ROUNDS.map(async ({ round, everyMs }) => {
    while (open) {
      await round(world).catch((error: Error) => world.surprises.push(error.message));
      await pause(everyMs);
    }
  });
  return async () => {
    open = false;
    await Promise.all(rounds);
  };
}
