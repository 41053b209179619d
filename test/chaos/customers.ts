/** Customers whose requests race the dispatch or undo what was done, so that every run reaches what it is about. */
import { setTimeout as pause } from 'node:timers/promises';
import { order } from '../../cmd/demo/customers.ts';
import type { World } from '../../cmd/demo/world.ts';

const SERVED_LIMIT_MS = 180_000;
const LOOK_EVERY_MS = 250;
/** How much further apart the customers are who come beyond the number. */
const SLOWER = 4;

export interface Kitchen {
  readonly restaurantId: string;
  readonly itemId: string;
}

/** Every second customer has one of these in mind, in turn. */
const ERRANDS: readonly ((world: World, kitchen: Kitchen) => Promise<void>)[] = [
  cancelBeforeItsTime,
  cancelAtItsTime,
  rescheduleAtItsTime,
  cancelPaid,
  cancelAtItsTime,
  changeTooLate,
  orderRejected,
  payWithDeclinedCard,
  cancelAtItsTime,
  rescheduleBeforeItsTime,
  rescheduleAtItsTime,
];

export interface Customers {
  /** Lets customers come at an interval: this many, and then fewer until `isEnough`. Resolves when the last one has come. */
  come(count: number, everyMs: number, isEnough: () => boolean): Promise<void>;
  /** Resolves when each has done what they came for; rejects if one could not. */
  served(): Promise<void>;
}

export function customersOf(world: World, kitchen: Kitchen): Customers {
  let errands = 0;
  const waiting: Promise<void>[] = [];
  return {
    async come(count, everyMs, isEnough) {
      for (let n = 0; n < count || !isEnough(); n++) {
        const errand = n % 2 === 1 ? ERRANDS[errands++ % ERRANDS.length] : undefined;
        const done = errand ? errand(world, kitchen) : order(world);
        done.catch(() => {});
        waiting.push(done);
        await pause(n < count ? everyMs : everyMs * SLOWER);
      }
    },
    served: async () => void (await Promise.all(waiting)),
  };
}

async function cancelBeforeItsTime(world: World): Promise<void> {
  const { id } = await schedule(world, 20_000);
  await cancel(world, id);
}

async function cancelAtItsTime(world: World): Promise<void> {
  const { id, dueAt } = await schedule(world, 1_500);
  await pause(dueAt - Date.now() + jitter());
  await cancel(world, id);
}

async function rescheduleBeforeItsTime(world: World): Promise<void> {
  const { id } = await schedule(world, 20_000);
  await reschedule(world, id, 1_500);
}

async function rescheduleAtItsTime(world: World): Promise<void> {
  const { id, dueAt } = await schedule(world, 1_500);
  await pause(dueAt - Date.now() + jitter());
  await reschedule(world, id, 1_000);
}

/** Both changes are refused: the order has been processed. */
async function changeTooLate(world: World): Promise<void> {
  const id = await place(world, '/orders', { customer_name: 'Late', total_price: 20 });
  await see(
    `order ${id} to be completed`,
    async () => (await world.client.ask('GET', `/orders/${id}`)).body?.status === 'COMPLETED',
  );
  await cancel(world, id);
  await reschedule(world, id, 1_000);
}

/** Cancels an order that is paid and being prepared: its payment is voided, its stock returned. */
async function cancelPaid(world: World): Promise<void> {
  const item = world.items.find(({ restaurantId }) => !world.answering.includes(restaurantId))!;
  const id = await place(world, '/api/v1/orders', {
    user_id: 'undecided',
    restaurant_id: item.restaurantId,
    items: [{ menu_item_id: item.id, quantity: 1 }],
  });
  await see(
    `order ${id} to be prepared`,
    async () => (await world.client.ask('GET', `/api/v1/orders/${id}`)).body?.status === 'PREPARING',
  );
  await cancel(world, id);
}

async function payWithDeclinedCard(world: World): Promise<void> {
  const item = world.items[0]!;
  await place(world, '/v1/orders', delivered('short-of-money', item.restaurantId, item.id, 'tok_decline'));
}

/** An order at a restaurant that rejects what it is asked for. */
async function orderRejected(world: World, { restaurantId, itemId }: Kitchen): Promise<void> {
  const id = await place(world, '/v1/orders', delivered('unlucky', restaurantId, itemId, 'tok_approve'));
  await see(`the ticket of order ${id}`, async () => {
    const path = `/v1/restaurants/${restaurantId}/orders/${id}`;
    const answer = await world.client.ask('POST', path, { action: 'REJECT', reason: 'no rice' });
    return answer.status === 200 || answer.body?.errors?.[0]?.code === 'ALREADY_REJECTED';
  });
}

function delivered(customerId: string, restaurantId: string, itemId: string, token: string) {
  return {
    customerId,
    restaurantId,
    items: [{ itemId, quantity: 1 }],
    deliveryAddress: { street: '9 Marine Drive', city: 'Mumbai', state: 'MH', zipCode: '400020' },
    payment: { token },
  };
}

/** A scheduled order; `dueAt` is in epoch ms. */
async function schedule(world: World, inMs: number): Promise<{ id: string; dueAt: number }> {
  const dueAt = Date.now() + inMs;
  const body = {
    customer_name: 'Undecided',
    total_price: 20,
    scheduled_time: new Date(dueAt).toISOString(),
  };
  return { id: await place(world, '/orders', body), dueAt };
}

async function place(world: World, path: string, body: object): Promise<string> {
  const answer = await world.client.ask('POST', path, body);
  if (answer.status !== 201 && answer.status !== 202)
    throw new Error(`POST ${path} was answered with ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body.order_id ?? answer.body.orderId;
}

async function cancel(world: World, id: string): Promise<void> {
  expect(world, `cancelling ${id}`, await world.client.ask('POST', `/v1/orders/${id}/cancel`, {}));
}

async function reschedule(world: World, id: string, inMs: number): Promise<void> {
  const scheduledAt = new Date(Date.now() + inMs).toISOString();
  expect(
    world,
    `rescheduling ${id}`,
    await world.client.ask('PATCH', `/v1/orders/${id}/schedule`, { scheduledAt }),
  );
}

function expect({ surprises }: World, what: string, { status }: { status: number }): void {
  if (status !== 200 && status !== 409) surprises.push(`${what} was answered with ${status}`);
}

/** Around the dispatch, which takes longer on a busy machine. */
function jitter(): number {
  return Math.random() * 500 - 20;
}

async function see(what: string, condition: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + SERVED_LIMIT_MS;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`a customer did not see ${what}`);
    await pause(LOOK_EVERY_MS);
  }
}
