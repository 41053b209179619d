/** The state of the demo: its restaurants, items and riders, and the orders placed so far. */
import type { Client } from './client.ts';

export interface Item {
  readonly id: string;
  readonly restaurantId: string;
  readonly stock: number;
}

export interface Placed {
  readonly id: string;
  /** The form in which the order was placed; decides who moves it on. */
  readonly form: 'delivered' | 'collected' | 'plain';
  readonly lines: readonly { readonly itemId: string; readonly quantity: number }[];
  status: string;
  /** Why the order failed, was rejected or was cancelled. */
  reason?: string;
}

export interface World {
  readonly client: Client;
  /** The restaurants whose tickets the demo answers; the others accept automatically. */
  readonly answering: readonly string[];
  readonly items: readonly Item[];
  readonly riders: readonly string[];
  readonly orders: Map<string, Placed>;
  /** Unexpected answers, one line each; they count as faults. */
  readonly surprises: string[];
}

const CENTRE = { lat: 18.935, lng: 72.827 };
const RIDERS = 12;
const RESTAURANTS = [
  { name: 'Tardeo Tiffins', acceptance: 'manual' },
  { name: 'Grant Road Grill', acceptance: 'automatic' },
  { name: 'Colaba Canteen', acceptance: 'automatic' },
] as const;
/** Stock of the items of each menu; the last item is scarce, so that it runs out. */
const STOCKS = [100_000, 100_000, 40];

export async function buildWorld(client: Client): Promise<World> {
  const run = Date.now().toString(36);
  const restaurants = await Promise.all(
    RESTAURANTS.map(async ({ name, acceptance }, n) => {
      const location = near(n);
      const body = { name, acceptance, address: `${n + 1} Demo Road`, location };
      return { id: await added(client, '/api/v1/inventory/add/restaurant', body), acceptance };
    }),
  );
  const items: Item[] = [];
  for (const { id: restaurantId } of restaurants) {
    for (const [n, stock] of STOCKS.entries()) {
      const body = { name: `Dish ${n + 1}`, price: 3.5 + 2 * n, initial_qty: stock, threshold_qty: 5 };
      const id = await added(client, `/api/v1/inventory/add/${restaurantId}/item`, body);
      items.push({ id, restaurantId, stock });
    }
  }
  const riders = Array.from({ length: RIDERS }, (_, n) => `demo-rider-${run}-${n + 1}`);
  await Promise.all(
    riders.map(async (id, n) => {
      const body = { name: `Rider ${n + 1}`, onDuty: true, capacity: 3, location: near(n) };
      const { status } = await client.ask('PUT', `/v1/riders/${id}`, body);
      if (status >= 300) throw new Error(`the rider ${id} was refused with ${status}`);
    }),
  );
  return {
    client,
    answering: restaurants.filter(({ acceptance }) => acceptance === 'manual').map(({ id }) => id),
    items,
    riders,
    orders: new Map(),
    surprises: [],
  };
}

async function added(client: Client, path: string, body: unknown): Promise<string> {
  const answer = await client.ask('POST', path, body);
  if (answer.status !== 201)
    throw new Error(`POST ${path} was answered with ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body.id;
}

function near(n: number) {
  return { lat: CENTRE.lat + (n % 4) * 0.004, lng: CENTRE.lng + Math.floor(n / 4) * 0.004 };
}

export function oneOf<T>(list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)] as T;
}

export function chance(share: number): boolean {
  return Math.random() < share;
}

const ENDS = new Set(['DELIVERED', 'COMPLETED', 'FAILED', 'REJECTED', 'CANCELLED']);

export function hasEnded({ status }: { status: string }): boolean {
  return ENDS.has(status);
}
