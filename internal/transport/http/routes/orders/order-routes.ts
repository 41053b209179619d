/** The routes of orders: place, and those that read and change one. */
import type { Context } from 'koa';
import { z } from 'zod';
import type { Order, OrderId } from '../../../../domain/order.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import type { Principal } from '../../principal.ts';
import { etag, fingerprintOf, idempotencyKey, traceparent } from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { type ChangeRouteDeps, changeRoutes } from './change-routes.ts';
import { type ItemsOrder, ordersBody } from './item-schemas.ts';
import { answerPlacement, customerOf } from './order-answers.ts';
import { type PlaceItemsDeps, placeItems, unchangedFields } from './place-items.ts';
import { itemsOrder, scheduledOrder, toItemsOrder, toScheduledOrder } from './presenters.ts';
import { readOrderRoutes } from './read-order-routes.ts';

const PRODUCER = 'order-service';
const OWN_ORDERS = { roles: ['customer', 'operator'] } as const;

export interface OrderRouteDeps extends ChangeRouteDeps, PlaceItemsDeps {
  readonly orders: OrderStore;
}

export function orderRoutes(deps: OrderRouteDeps): readonly Route[] {
  return [placing(deps), ...readOrderRoutes(deps), ...changeRoutes(deps)];
}

function placing(deps: OrderRouteDeps): Route {
  return route({
    method: 'POST',
    path: '/orders',
    access: OWN_ORDERS,
    tag: 'Orders',
    summary: 'Places an order, for now or a later time: over an amount, or of items for delivery',
    body: ordersBody(() => deps.clock.now()),
    headers: ['Idempotency-Key'],
    answers: {
      201: {
        description: 'The order was placed, now or by an earlier request',
        schema: z.union([scheduledOrder, itemsOrder]),
        headers: ['Location', 'ETag'],
      },
      409: { description: 'Another order has this id, or a request with this key is in progress' },
    },
    async handle(ctx, { body, principal }) {
      if ('items' in body) return placeForDelivery(deps, ctx, principal, body);
      const customerId = customerOf(principal);
      // The same body from another customer is a different request.
      const fingerprint = customerId === undefined ? fingerprintOf(body) : fingerprintOf(body, customerId);
      const key = idempotencyKey(ctx, principal, 'POST /orders', fingerprint);
      const result = await deps.place({
        content: {
          id: body.id ?? (deps.newOrderId() as OrderId),
          customerName: body.customer_name,
          ...(customerId === undefined ? {} : { customerId }),
          items: [],
          total: { minor: body.total_price, currency: deps.currency },
        },
        scheduledAt: body.scheduled_time,
        fingerprint,
        origin: { producer: PRODUCER, traceparent: traceparent(ctx) },
        idempotency: key && { key, answer: placed },
      });
      answerPlacement(ctx, result, placed, fingerprint);
    },
  });
}

/** Places an order of items, which is delivered to the given address, or to the one that the carrier has stored. */
function placeForDelivery(
  deps: OrderRouteDeps,
  ctx: Context,
  principal: Principal,
  body: ItemsOrder,
): Promise<void> {
  const { items, deliveryAddress, customer_name: customerName, scheduledAt } = body;
  return placeItems(deps, ctx, principal, {
    operation: 'POST /orders',
    body,
    draft: {
      ...unchangedFields(body),
      ...(customerName ? { customerName } : {}),
      ...(deliveryAddress ? { deliveryAddress } : { toCustomer: true }),
      lines: items.map(({ itemId, quantity, unitPrice }) => ({
        itemId,
        quantity,
        ...(unitPrice === undefined ? {} : { unitPriceMinor: unitPrice }),
      })),
    },
    scheduledAt,
    placed: (order) => ({
      status: 201,
      headers: { Location: `/orders/${order.id}`, ETag: etag(order.version) },
      body: toItemsOrder(order),
    }),
  });
}

function placed(order: Order) {
  return {
    status: 201,
    headers: { Location: `/orders/${order.id}`, ETag: etag(order.version) },
    body: toScheduledOrder(order),
  };
}
