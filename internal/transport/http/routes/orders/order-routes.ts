/** The routes of orders: place, read, list, cancel and reschedule. */
import type { Context } from 'koa';
import { z } from 'zod';
import type { Order, OrderId } from '../../../../domain/order.ts';
import type { OrderCommand } from '../../../../domain/order-decisions.ts';
import { type ChangeDeps, changeOrder } from '../../../../service/orders/change-order.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import type { Clock } from '../../../../service/ports.ts';
import type { Principal } from '../../principal.ts';
import {
  etag,
  fingerprintOf,
  idempotencyKey,
  ifMatch,
  send,
  sendAgain,
  traceparent,
} from '../../request-headers.ts';
import { type Answer, type Route, route } from '../../route.ts';
import { type ItemsOrder, ordersBody } from './item-schemas.ts';
import { answerPlacement, assertReachable, customerOf, orderIdOf } from './order-answers.ts';
import { cancelBody, rescheduleBody } from './order-schemas.ts';
import { type PlaceItemsDeps, placeItems, unchangedFields } from './place-items.ts';
import {
  itemsOrder,
  listedOrder,
  scheduledOrder,
  toItemsOrder,
  toListedOrder,
  toScheduledOrder,
} from './presenters.ts';
import { readOrderRoutes } from './read-order-routes.ts';

const PRODUCER = 'order-service';
const OWN_ORDERS = { roles: ['customer', 'operator'] } as const;
const NOT_FOUND = { description: 'There is no such order, or it is someone else’s' };

export interface OrderRouteDeps extends ChangeDeps, PlaceItemsDeps {
  readonly orders: OrderStore;
  readonly clock: Clock;
  /** How often an order may be rescheduled. */
  readonly maxReschedules: number;
}

export function orderRoutes(deps: OrderRouteDeps): readonly Route[] {
  return [placing(deps), ...readOrderRoutes(deps), ...changing(deps)];
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

function changing(deps: OrderRouteDeps): Route[] {
  async function change(
    ctx: Context,
    principal: Principal,
    id: OrderId,
    command: OrderCommand,
    operation: string,
  ): Promise<void> {
    await assertReachable(deps.orders, principal, id);
    const key =
      ctx.method === 'POST'
        ? idempotencyKey(ctx, principal, operation, fingerprintOf(id, command))
        : undefined;
    const result = await changeOrder(deps, {
      id,
      commands: () => [command],
      origin: { producer: PRODUCER, traceparent: traceparent(ctx) },
      ifVersion: ifMatch(ctx),
      idempotency: key && { key, answer: changed },
    });
    if ('answer' in result) sendAgain(ctx, result.answer);
    else send(ctx, changed(result.result));
  }
  const answers: Record<number, Answer> = {
    200: { description: 'The changed order', schema: listedOrder, headers: ['ETag'] },
    404: NOT_FOUND,
    409: { description: 'The order’s status no longer allows this change, or it was rescheduled too often' },
  };

  return [
    route({
      method: 'POST',
      path: '/v1/orders/:id/cancel',
      access: OWN_ORDERS,
      tag: 'Orders',
      summary: 'Cancels an order that has not ended',
      body: cancelBody,
      bodyOptional: true,
      headers: ['Idempotency-Key', 'If-Match'],
      answers: answers,
      handle: (ctx, { params, body, principal }) =>
        change(
          ctx,
          principal,
          orderIdOf(params.id),
          { type: 'cancel', ...(body?.reason ? { reason: body.reason } : {}) },
          'POST /v1/orders/{id}/cancel',
        ),
    }),
    route({
      method: 'PATCH',
      path: '/v1/orders/:id/schedule',
      access: OWN_ORDERS,
      tag: 'Orders',
      summary: 'Reschedules an order that has not been dispatched',
      body: rescheduleBody(() => deps.clock.now()),
      headers: ['If-Match'],
      answers,
      handle: (ctx, { params, body: { scheduledAt }, principal }) =>
        change(
          ctx,
          principal,
          orderIdOf(params.id),
          { type: 'reschedule', scheduledAt, atMost: deps.maxReschedules },
          'PATCH /v1/orders/{id}/schedule',
        ),
    }),
  ];
}

function placed(order: Order) {
  return {
    status: 201,
    headers: { Location: `/orders/${order.id}`, ETag: etag(order.version) },
    body: toScheduledOrder(order),
  };
}

function changed(order: Order) {
  return { status: 200, headers: { ETag: etag(order.version) }, body: toListedOrder(order) };
}
