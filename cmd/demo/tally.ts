/** The demo's final checks: every order has ended and is charged correctly, and the stock adds up. */
import { hasEnded, type World } from './world.ts';

export interface Tally {
  readonly placed: number;
  /** Number of orders by final status, with the reason if there is one. */
  readonly ends: ReadonlyMap<string, number>;
  readonly sold: number;
  /** One line for each fault; empty if all checks passed. */
  readonly faults: readonly string[];
}

export async function tally(world: World): Promise<Tally> {
  const faults = [...world.surprises];
  const ends = new Map<string, number>();
  for (const order of world.orders.values()) {
    const end = order.reason ? `${order.status} (${order.reason})` : order.status;
    ends.set(end, (ends.get(end) ?? 0) + 1);
    if (!hasEnded(order)) faults.push(`order ${order.id} is still ${order.status}`);
  }
  await checkPayments(world, faults);
  return { placed: world.orders.size, ends, sold: await checkStock(world, faults), faults };
}

/** A delivered or completed order is charged its total once; any other order is charged nothing. */
async function checkPayments({ client, orders }: World, faults: string[]): Promise<void> {
  for (const { id, lines, status } of orders.values()) {
    if (lines.length === 0) continue;
    const { status: found, body } = await client.ask('GET', `/v1/orders/${id}/payment`);
    const { state, captured = 0, refunded = 0, requested } = found === 200 ? body : {};
    const kept = Number(captured) - Number(refunded);
    if (status === 'DELIVERED' || status === 'COMPLETED') {
      if (state !== 'CAPTURED' || kept !== Number(requested))
        faults.push(`order ${id} is ${status} and its payment is ${state}`);
    } else if (kept !== 0 || state === 'AUTHORIZED') {
      faults.push(
        `order ${id} is ${status} and ${state === 'AUTHORIZED' ? 'still authorized' : `cost ${kept}`}`,
      );
    }
  }
}

/** The available stock must be the initial stock less the sold items. */
async function checkStock({ client, items, orders }: World, faults: string[]): Promise<number> {
  const taken = new Map<string, number>();
  for (const { lines, status } of orders.values()) {
    if (status !== 'DELIVERED' && status !== 'COMPLETED') continue;
    for (const { itemId, quantity } of lines) taken.set(itemId, (taken.get(itemId) ?? 0) + quantity);
  }
  let sold = 0;
  for (const { id, stock } of items) {
    const quantity = taken.get(id) ?? 0;
    sold += quantity;
    const { body } = await client.ask('GET', `/api/v1/inventory/${id}`);
    if (body.available_qty !== stock - quantity)
      faults.push(`item ${id}: ${stock} less ${quantity} sold should be left, but ${body.available_qty} are`);
  }
  return sold;
}
