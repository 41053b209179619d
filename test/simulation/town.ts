/** The world outside: clients that place, cancel and reschedule, kitchens that answer, and riders that report. */
import type { OperationLine } from '../../cmd/audit/history.ts';
import { isTransient, TiffinError } from '../../internal/domain/errors.ts';
import type { Order, OrderContent, OrderId } from '../../internal/domain/order.ts';
import type { OrderCommand } from '../../internal/domain/order-decisions.ts';
import { trackDelivery } from '../../internal/service/delivery/track-delivery.ts';
import type { Answered } from '../../internal/service/idempotency.ts';
import type { Restaurant } from '../../internal/service/inventory/ports.ts';
import { changeOrder } from '../../internal/service/orders/change-order.ts';
import { placeOrders } from '../../internal/service/orders/place-order.ts';
import { answerTicket } from '../../internal/service/restaurants/answer-ticket.ts';
import { NOON } from '../support/manual-clock.ts';
import type { PlannedOrder, Step } from './plan.ts';
import { DECLINED } from './providers.ts';
import type { Process, Scheduler } from './scheduler.ts';
import type { System } from './system.ts';

const restaurant = (id: string, acceptance: Restaurant['acceptance']): Restaurant => ({
  id,
  name: id,
  isActive: true,
  acceptance,
  address: '1 Tardeo Road',
  preparationS: 1,
});
export const RESTAURANTS = [restaurant('manual', 'manual'), restaurant('automatic', 'automatic')];
export const STOCK = { rice: 100, scarce: 3 };
export const RIDERS = ['anna', 'bela'].map((id) => ({
  id,
  name: id,
  isOnDuty: true,
  carrying: 0,
  capacity: 1,
}));
const PRICE = 250;
const ADDRESS = { street: '1 Churchgate', city: 'Mumbai', state: 'MH', zipCode: '400020' };
const ORIGIN = { producer: 'order-service' };
/** A client that hears nothing for this long asks again, a few times. */
const PATIENCE_MS = 8_000;
const TRIES = 3;
const ROUND_MS = 1_500;

type Outcome = { readonly type: 'ok' | 'fail' | 'info'; readonly value: Record<string, unknown> };

/** Sends a request to a process; rejects with UNAVAILABLE if that dies or does not answer in time. */
function ask<T>(simulation: Scheduler, process: Process, work: () => Promise<T>): Promise<T> {
  const self = simulation.current();
  return new Promise<T>((resolve, reject) => {
    const giveUp = simulation.later(self, PATIENCE_MS, () =>
      reject(new TiffinError('UNAVAILABLE', 'no answer')),
    );
    const answer = (tell: () => void) =>
      void simulation.later(self, simulation.latency(), () => {
        giveUp();
        tell();
      });
    if (!process.isAlive) return answer(() => reject(new TiffinError('UNAVAILABLE', 'refused')));
    simulation.later(process, simulation.latency(), () => {
      work().then(
        (result) => answer(() => resolve(result)),
        (error) => answer(() => reject(error)),
      );
    });
  });
}

export function town(simulation: Scheduler, system: System, api: Process, orders: readonly PlannedOrder[]) {
  const history: OperationLine[] = [];
  const deps = system.depsOf(api);
  const planned = new Map(orders.map((order) => [order.id, order]));
  let calls = 0;
  let waiting = 0;

  /** One operation of a client: it repeats the request while the outcome is unknown. */
  async function operation(
    op: string,
    orderId: string,
    request: (key: string) => Promise<Record<string, unknown>>,
  ): Promise<void> {
    calls += 1;
    const call = { process: calls, op, orderId };
    history.push({ ...call, type: 'invoke', at: simulation.now() });
    const outcome = await outcomeOf(() => ask(simulation, api, () => request(`key ${call.process}`)));
    history.push({ ...call, ...outcome, at: simulation.now() });
  }

  async function outcomeOf(attempt: () => Promise<Record<string, unknown>>): Promise<Outcome> {
    for (let tries = 1; ; tries++) {
      try {
        return { type: 'ok', value: await attempt() };
      } catch (error) {
        if (!(error instanceof TiffinError)) throw error;
        // A try without an answer may still take effect, after a later one was refused.
        if (!isTransient(error) && tries === 1) return { type: 'fail', value: { code: error.code } };
        if (!isTransient(error) || tries === TRIES) return { type: 'info', value: {} };
        await simulation.sleep(300 * tries);
      }
    }
  }

  const place = (order: PlannedOrder, scheduledAt: number | undefined) => async () => {
    const content = contentOf(order);
    const command = { content, scheduledAt, fingerprint: order.id, origin: ORIGIN };
    const [result] = await placeOrders(deps, [command]);
    if (result?.outcome === 'refused') throw result.error;
    return result && 'order' in result ? { dueAt: result.order.dueAt } : {};
  };

  const change = (id: string, command: OrderCommand) => async (key: string) => {
    const changed: Answered<Order> = await changeOrder(deps, {
      id: id as OrderId,
      commands: () => [command],
      origin: ORIGIN,
      idempotency: {
        key: { principal: 'client', operation: command.type, key, fingerprint: key },
        answer: ({ dueAt }) => ({ status: 200, headers: {}, body: { dueAt } }),
      },
    });
    const { dueAt } = 'result' in changed ? changed.result : (changed.answer.body as { dueAt: number });
    return command.type === 'reschedule' ? { dueAt } : {};
  };

  async function client(order: PlannedOrder): Promise<void> {
    await simulation.sleep(order.placeAt);
    const scheduledAt = order.aheadMs === undefined ? undefined : simulation.now() + order.aheadMs;
    await operation('place', order.id, place(order, scheduledAt));
    await Promise.all(order.steps.map((step) => follow(order, step)));
  }

  async function follow(order: PlannedOrder, { op, at, byMs }: Step): Promise<void> {
    await simulation.sleep(NOON + at - simulation.now());
    const command: OrderCommand =
      op === 'cancel' ? { type: op } : { type: op, scheduledAt: simulation.now() + byMs };
    await operation(op, order.id, change(order.id, command));
  }

  /** What kitchens and riders do is asked until it is answered; they see what is so. */
  async function round(): Promise<void> {
    const open = await asked(() => system.tickets.listOpen('manual', { limit: 100 }));
    for (const { orderId, restaurantId } of open ?? []) {
      const { kitchen } = planned.get(orderId) as PlannedOrder;
      const order = system.stores.orderNow(orderId);
      if (kitchen === 'silent' || order?.status !== 'CONFIRMED') continue;
      const answer =
        kitchen === 'accepts' ? { type: 'accept' as const } : { type: 'reject' as const, reason: 'no rice' };
      await asked(() => answerTicket(deps, { restaurantId, orderId, answer }));
    }
    for (const { id } of RIDERS) {
      const carried = await asked(() => system.deliveries.ofRider(id));
      for (const { orderId, state } of carried ?? []) {
        const { rider } = planned.get(orderId) as PlannedOrder;
        if (rider === 'never picks up' || (rider === 'never arrives' && state === 'PICKED_UP')) continue;
        const status = state === 'ASSIGNED' ? 'PICKED_UP' : 'DELIVERED';
        await asked(() => trackDelivery(deps, { riderId: id, orderId, status, at: simulation.now() }));
      }
    }
    for (const { id, status } of system.stores.ordersNow()) {
      const { kind, rider } = planned.get(id) as PlannedOrder;
      const isReady = status === 'PREPARING' || status === 'ACCEPTED';
      if (kind !== 'restaurant' || rider !== 'delivers' || !isReady) continue;
      const collected = { type: 'advance', to: 'COMPLETED', by: 'request' } as const;
      await asked(() => changeOrder(deps, { id, commands: () => [collected], origin: ORIGIN }));
    }
  }

  /** The answer of the API; undefined if there is none, or it refuses. */
  function asked<T>(request: () => Promise<T>): Promise<T | undefined> {
    return ask(simulation, api, request).catch((error) => {
      if (!(error instanceof TiffinError)) throw error;
      return undefined;
    });
  }

  return {
    history,
    isDone: () => waiting === 0,
    open(): void {
      const people = simulation.process('people');
      for (const order of orders) {
        waiting += 1;
        simulation.later(people, 0, () => void client(order).then(() => waiting--));
      }
      const rounds = async () => {
        for (;;) {
          await round();
          await simulation.sleep(ROUND_MS);
        }
      };
      simulation.later(people, 0, () => void rounds());
    },
  };
}

function contentOf({ id, kind, restaurant, item, quantity, isDeclined }: PlannedOrder): OrderContent {
  const isKitchen = kind === 'restaurant' || kind === 'everything';
  const isDelivered = kind === 'delivery' || kind === 'everything';
  const items = kind === 'plain' ? [] : [{ itemId: item, quantity, unitPriceMinor: PRICE }];
  return {
    id: id as OrderId,
    customerId: `customer of ${id}`,
    items,
    total: { minor: PRICE * quantity, currency: 'USD' },
    ...(isKitchen ? { restaurantId: restaurant } : {}),
    ...(isDelivered ? { deliveryAddress: ADDRESS } : {}),
    ...(isDeclined ? { paymentToken: DECLINED } : {}),
  };
}
