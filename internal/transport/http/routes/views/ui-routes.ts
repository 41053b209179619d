/** The routes for screens: an order's current view and its history. */
import { z } from 'zod';
import { DELIVERY_ETA, ORDER_MANAGER, orderManagerStatus } from '../../../../domain/dialects.ts';
import { toDecimal } from '../../../../domain/money.ts';
import { isFinal, type Order } from '../../../../domain/order.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { History, HistoryEntry, OrderView } from '../../../../service/views/ports.ts';
import { type ViewDeps, viewOrder } from '../../../../service/views/project-views.ts';
import { isOwnOrder, mayReach, type Principal } from '../../principal.ts';
import { send, UNCHANGED, viewTag } from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { orderIdOf, orderNotFound } from '../orders/order-answers.ts';

export const TAG = 'Screens';
export const EVERYBODY = { roles: ['customer', 'restaurant', 'rider', 'operator'] } as const;
export const NOT_FOUND = { description: 'There is no such order, or it is someone else’s' };
const MOST_HISTORY = 1_000;
const time = z.string().meta({ format: 'date-time' });
const word = z.enum([...new Set(Object.values(DELIVERY_ETA))]);

const entry = z.object({
  eventId: z.string(),
  eventType: z.string(),
  at: time,
  producer: z.string(),
  payload: z.unknown(),
});

export const paymentSchema = z.enum([
  'NONE',
  'PENDING',
  'AUTHORIZED',
  'FAILED',
  'CAPTURED',
  'VOIDED',
  'REFUNDED',
]);

const orderView = z
  .object({
    orderId: z.string(),
    customerId: z.string().optional(),
    restaurantId: z.string().optional(),
    status: word,
    reason: z.string().optional(),
    inventory: z.enum(['NONE', 'PENDING', 'RESERVED', 'REJECTED', 'RELEASED']),
    payment: paymentSchema,
    eta: z.object({ median: time, p90: time, computedAt: time }).nullable(),
    rider: z.object({ riderId: z.string(), state: z.string() }).nullable(),
    items: z.array(
      z.object({
        itemId: z.string(),
        name: z.string().optional(),
        quantity: z.number(),
        unitPrice: z.number().optional(),
      }),
    ),
    totalAmount: z.number(),
    currency: z.string(),
    timeline: z.array(z.object({ status: z.string(), at: time })),
    scheduledAt: time.optional(),
    version: z.int(),
    updatedAt: time,
    history: z.array(entry).optional(),
  })
  .meta({ id: 'OrderView' });

const managedStatus = z
  .object({
    order_id: z.string(),
    status: z.enum([...new Set(Object.values(ORDER_MANAGER))]),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'ManagedStatus' });

export interface UiDeps extends ViewDeps {
  readonly history: History;
}

export function uiRoutes(deps: UiDeps): readonly Route[] {
  return [current(deps), historyOf(deps), managed(deps)];
}

/** The order's view; throws ORDER_NOT_FOUND also for an order that the principal may not see. */
export async function reachable(deps: ViewDeps, principal: Principal, text: string): Promise<OrderView> {
  const view = await viewOrder(deps, orderIdOf(text));
  if (!view || !mayReach(principal, { ...view.order, riderId: view.delivery?.riderId }))
    throw orderNotFound(text);
  return view;
}

function current(deps: UiDeps): Route {
  return route({
    method: 'GET',
    path: '/ui/orders/:id',
    access: EVERYBODY,
    tag: TAG,
    summary: 'The current view of one order',
    query: z.object({
      history: z.enum(['true', 'false'], { error: 'must be true or false' }).default('false'),
    }),
    headers: ['If-None-Match'],
    answers: {
      200: { description: 'The order, with its history if requested', schema: orderView },
      304: UNCHANGED,
      404: NOT_FOUND,
    },
    async handle(ctx, { params, query, principal }) {
      const view = await reachable(deps, principal, params.id);
      if (query.history === 'false')
        return send(ctx, { status: 200, headers: { ETag: viewTag(view) }, body: toScreen(view) });
      // Without an entity tag: the history may grow while the view stays the same.
      ctx.body = { ...toScreen(view), history: await entriesOf(deps, view, principal) };
    },
  });
}

function historyOf(deps: UiDeps): Route {
  return route({
    method: 'GET',
    path: '/ui/orders/:id/history',
    access: EVERYBODY,
    tag: TAG,
    summary: 'Every event and every ETA of an order, oldest first',
    answers: {
      200: {
        description: 'The history',
        schema: z.object({ orderId: z.string(), history: z.array(entry) }),
      },
      404: NOT_FOUND,
    },
    async handle(ctx, { params, principal }) {
      const view = await reachable(deps, principal, params.id);
      ctx.body = { orderId: view.order.id, history: await entriesOf(deps, view, principal) };
    },
  });
}

/** `GET /orders/{id}/status`: what `order_status:{id}` holds in Redis. */
function managed(deps: UiDeps): Route {
  return route({
    method: 'GET',
    path: '/orders/:id/status',
    access: EVERYBODY,
    tag: 'Order manager',
    summary: 'The status of an order in the order manager’s terms',
    answers: { 200: { description: 'The status', schema: managedStatus }, 404: NOT_FOUND },
    async handle(ctx, { params, principal }) {
      const view = await reachable(deps, principal, params.id);
      ctx.body = { order_id: view.order.id, ...orderManagerStatus(view.order) };
    },
  });
}

/** What the payloads of events hold to reach the customer by. */
const CONTACT = ['to', 'deliveryAddress'];

/** Once the order has ended, its restaurant and its rider no longer see how to reach the customer. */
async function entriesOf({ history }: UiDeps, { order }: OrderView, principal: Principal) {
  const isHidden = isFinal(order.status) && !isOwnOrder(principal, order);
  const entries = await history.of(order.id, MOST_HISTORY);
  return entries.map(({ at, payload, ...rest }: HistoryEntry) => ({
    ...rest,
    payload: isHidden ? without(CONTACT, payload) : payload,
    at: toRfc3339(at),
  }));
}

function without(names: readonly string[], payload: unknown): unknown {
  if (typeof payload !== 'object' || payload === null) return payload;
  return Object.fromEntries(Object.entries(payload).filter(([name]) => !names.includes(name)));
}

export function toScreen(view: OrderView): z.infer<typeof orderView> {
  const { order, delivery } = view;
  return {
    orderId: order.id,
    customerId: order.customerId,
    restaurantId: order.restaurantId,
    status: DELIVERY_ETA[order.status],
    ...('reason' in order && order.reason ? { reason: order.reason } : {}),
    inventory: inventoryWord(view),
    payment: paymentWord(view),
    eta: delivery?.eta
      ? {
          median: toRfc3339(delivery.eta.median),
          p90: toRfc3339(delivery.eta.p90),
          computedAt: toRfc3339(delivery.eta.computedAt),
        }
      : null,
    rider: delivery?.riderId ? { riderId: delivery.riderId, state: delivery.state } : null,
    items: order.items.map(({ unitPriceMinor, ...item }) => ({
      ...item,
      ...(unitPriceMinor === undefined ? {} : { unitPrice: toDecimal(unitPriceMinor) }),
    })),
    totalAmount: toDecimal(order.total.minor),
    currency: order.total.currency,
    timeline: timelineOf(order),
    ...(order.scheduledAt === undefined ? {} : { scheduledAt: toRfc3339(order.scheduledAt) }),
    version: order.version,
    updatedAt: toRfc3339(order.updatedAt),
  };
}

export function timelineOf({ timeline }: Order): { status: string; at: string }[] {
  return timeline.map((one) => ({ status: 'status' in one ? one.status : one.fact, at: toRfc3339(one.at) }));
}

/** NONE for an order without items or cost, and for an order that ended before its payment began. */
export function paymentWord({ order, payment }: OrderView): z.infer<typeof orderView>['payment'] {
  if (payment) return payment;
  return order.items.length > 0 && order.total.minor > 0 && !isFinal(order.status) ? 'PENDING' : 'NONE';
}

function inventoryWord({ order, reservation }: OrderView): z.infer<typeof orderView>['inventory'] {
  if (order.items.length === 0) return 'NONE';
  if (reservation) return reservation === 'reserved' ? 'RESERVED' : 'RELEASED';
  if (order.status === 'FAILED' && order.reason === 'OUT_OF_STOCK') return 'REJECTED';
  return isFinal(order.status) ? 'NONE' : 'PENDING';
}
