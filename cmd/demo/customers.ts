/** The demo's customers: they place orders in three forms, now or scheduled; some cancel, and some cards fail. */
import { chance, type Item, oneOf, type Placed, type World } from './world.ts';

/** Cards, repeated by frequency; docs/operations.md says how the simulated provider answers each of them. */
const CARDS = [
  ...new Array(16).fill('tok_approve'),
  'tok_decline',
  'tok_timeout',
  'tok_flaky',
  'tok_pending',
] as string[];
const CANCELLED_SHARE = 0.08;
const LATER_SHARE = 0.25;

/** Places the order of one customer. */
export async function order(world: World): Promise<void> {
  const form = oneOf(['delivered', 'delivered', 'delivered', 'collected', 'plain'] as const);
  const lines = form === 'plain' ? [] : basket(world.items);
  const { path, body } = requestFor(form, lines);
  const { status, body: answer } = await world.client.ask('POST', path, body);
  if (status !== 201 && status !== 202) {
    world.surprises.push(`POST ${path} was answered with ${status}: ${JSON.stringify(answer)}`);
    return;
  }
  const id: string = answer.order_id ?? answer.orderId;
  const placed: Placed = {
    id,
    form,
    lines: lines.map(({ item, quantity }) => ({ itemId: item.id, quantity })),
    status: 'PLACED',
  };
  world.orders.set(id, placed);
  if (chance(CANCELLED_SHARE)) setTimeout(() => void cancel(world, id), Math.random() * 4_000);
}

async function cancel(world: World, id: string): Promise<void> {
  const { status } = await world.client.ask('POST', `/v1/orders/${id}/cancel`, { reason: 'changed my mind' });
  // 409: the order can no longer be cancelled.
  if (status !== 200 && status !== 409) world.surprises.push(`cancelling ${id} was answered with ${status}`);
}

interface Line {
  readonly item: Item;
  readonly quantity: number;
}

function basket(items: readonly Item[]): Line[] {
  const { restaurantId } = oneOf(items);
  const menu = items.filter((item) => item.restaurantId === restaurantId);
  return menu
    .filter(() => chance(0.5))
    .concat(oneOf(menu))
    .map((item) => ({ item, quantity: chance(0.3) ? 2 : 1 }));
}

function requestFor(form: Placed['form'], lines: readonly Line[]): { path: string; body: unknown } {
  const later = chance(LATER_SHARE)
    ? new Date(Date.now() + 1_000 + Math.random() * 4_000).toISOString()
    : undefined;
  const customer = `demo-customer-${Math.floor(Math.random() * 200)}`;
  const restaurantId = lines[0]?.item.restaurantId;
  switch (form) {
    case 'delivered':
      return {
        path: '/v1/orders',
        body: {
          customerId: customer,
          restaurantId,
          items: lines.map(({ item, quantity }) => ({ itemId: item.id, quantity })),
          deliveryAddress: { street: '9 Marine Drive', city: 'Mumbai', state: 'MH', zipCode: '400020' },
          payment: { token: oneOf(CARDS) },
          ...(later ? { scheduledAt: later } : {}),
        },
      };
    case 'collected':
      return {
        path: '/api/v1/orders',
        body: {
          user_id: customer,
          restaurant_id: restaurantId,
          items: lines.map(({ item, quantity }) => ({ menu_item_id: item.id, quantity })),
        },
      };
    case 'plain':
      return {
        path: '/orders',
        body: { customer_name: customer, total_price: 20, ...(later ? { scheduled_time: later } : {}) },
      };
  }
}
