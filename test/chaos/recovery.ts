/** Measures the time after a fault until orders go on, and until every process is ready. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Json } from '../../cmd/demo/client.ts';
import type { World } from '../../cmd/demo/world.ts';
import type { Fleet } from './fleet.ts';
import type { Recorder } from './history.ts';

/** Times in milliseconds; undefined if it did not come about within the limit. */
export interface Recovery {
  /** Until an order of an amount was placed and completed, and one of items was paid and accepted. */
  readonly ordersMs: number | undefined;
  readonly readyMs: number | undefined;
}

const ATTEMPT_LIMIT_MS = 2_500;
const EVERY_MS = 100;

export interface Probe {
  readonly urlOf: (method: string, path: string) => string;
  readonly world: World;
  readonly fleet: Fleet;
  readonly history: Recorder;
}

export async function recover(probe: Probe, withinMs: number): Promise<Recovery> {
  const started = performance.now();
  const isOver = () => performance.now() - started > withinMs;
  const since = async (work: Promise<boolean>) =>
    (await work) ? Math.round(performance.now() - started) : undefined;
  const orders = Promise.all([completes(probe, isOver), isServed(probe, isOver)]).then((all) =>
    all.every(Boolean),
  );
  const ready = eventually(isOver, async () => {
    const members = [...probe.fleet.members.values()];
    return (await Promise.all(members.map((member) => member.isReady()))).every(Boolean);
  });
  const [ordersMs, readyMs] = await Promise.all([since(orders), since(ready)]);
  return { ordersMs, readyMs };
}

async function completes(probe: Probe, isOver: () => boolean): Promise<boolean> {
  const id = `probe-${crypto.randomUUID()}`;
  const body = { id, customer_name: 'Probe', total_price: 1 };
  const placing = probe.history.begin('place', {}, id);
  if (!(await eventually(isOver, async () => Boolean(await ask(probe, 'POST', '/orders', body)))))
    return false;
  placing.end('ok');
  return eventually(isOver, async () => (await ask(probe, 'GET', `/orders/${id}`))?.status === 'COMPLETED');
}

/** An order that is collected at a restaurant which accepts by itself; the world serves it afterwards. */
async function isServed(probe: Probe, isOver: () => boolean): Promise<boolean> {
  const { world } = probe;
  const item = world.items.find(({ restaurantId }) => !world.answering.includes(restaurantId))!;
  const body = {
    user_id: 'probe',
    restaurant_id: item.restaurantId,
    items: [{ menu_item_id: item.id, quantity: 1 }],
  };
  const key = crypto.randomUUID();
  const placing = probe.history.begin('place', {});
  let id = '';
  const placed = async () => {
    id = (await ask(probe, 'POST', '/api/v1/orders', body, key))?.order_id ?? '';
    return id !== '';
  };
  if (!(await eventually(isOver, placed))) return false;
  placing.end('ok', {}, id);
  const lines = [{ itemId: item.id, quantity: 1 }];
  world.orders.set(id, { id, form: 'collected', lines, status: 'PLACED' });
  return eventually(isOver, async () => {
    const status = (await ask(probe, 'GET', `/api/v1/orders/${id}`))?.status;
    return ['PREPARING', 'OUT_FOR_DELIVERY', 'DELIVERED'].includes(status);
  });
}

/** The body of a successful answer. */
async function ask(
  { urlOf }: Probe,
  method: string,
  path: string,
  body?: object,
  key?: string,
): Promise<Json | undefined> {
  const headers = {
    ...(body ? { 'content-type': 'application/json' } : {}),
    ...(key ? { 'idempotency-key': key } : {}),
  };
  const signal = AbortSignal.timeout(ATTEMPT_LIMIT_MS);
  const init = { method, headers, signal, ...(body ? { body: JSON.stringify(body) } : {}) };
  const answer = await fetch(`${urlOf(method, path)}${path}`, init).catch(() => undefined);
  return answer?.ok ? answer.json().catch(() => undefined) : undefined;
}

async function eventually(isOver: () => boolean, condition: () => Promise<boolean>): Promise<boolean> {
  while (!isOver()) {
    if (await condition()) return true;
    await pause(EVERY_MS);
  }
  return false;
}
