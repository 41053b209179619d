/** The order routes of the transactional-outbox dialect: `/api/v1/orders`. */
import type { Context } from 'koa';
import { z } from 'zod';
import { TRANSACTIONAL_OUTBOX } from '../../../../domain/dialects.ts';
import { TiffinError } from '../../../../domain/errors.ts';
import { toDecimal } from '../../../../domain/money.ts';
import { isDelivered, type Order, type OrderId } from '../../../../domain/order.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import { type ChangeDeps, changeOrder } from '../../../../service/orders/change-order.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import { isOwnOrder, type Principal } from '../../principal.ts';
import {
  etag,
  fingerprintOf,
  idempotencyKey,
  ifMatch,
  send,
  sendAgain,
  traceparent,
  UNCHANGED,
} from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { outboxOrderBody, outboxQuery } from './item-schemas.ts';
import { findOrder, orderIdOf } from './order-answers.ts';
import { commandsTo, OUTBOX_WORDS, type OutboxWord } from './outbox-words.ts';
import { type PlaceItemsDeps, placeItems } from './place-items.ts';

const TAG = 'Transactional outbox';
const OWN_ORDERS = { roles: ['customer', 'operator'] } as const;
const NOT_FOUND = { description: 'There is no such order, or it is someone else’s' };
const time = z.string().meta({ format: 'date-time' });
const status = z.enum(OUTBOX_WORDS);

const placedOrder = z
  .object({
    order_id: z.string(),
    status: z.literal('PLACED'),
    total_amount: z.number(),
    message: z.string(),
  })
  .meta({ id: 'PlacedOutboxOrder' });

const outboxOrder = z
  .object({
    id: z.string(),
    order_id: z.string(),
    status,
    reason: z.string().optional(),
    /** What is charged: base - discount + fees. */
    total_amount: z.number(),
    base_total: z.number().optional(),
    discount_applied: z.number().optional(),
    fees_applied: z.number().optional(),
    items: z.array(z.object({ name: z.string(), quantity: z.number(), price: z.number().optional() })),
    created_at: time,
  })
  .meta({ id: 'OutboxOrder' });

export interface OutboxDeps extends PlaceItemsDeps, ChangeDeps {
  readonly orders: OrderStore;
}

export function outboxRoutes(deps: OutboxDeps): readonly Route[] {
  return [placing(deps), reading(deps), moving(deps), cancelling(deps)];
}

function placing(deps: OutboxDeps): Route {
  return route({
    method: 'POST',
    path: '/api/v1/orders',
    access: OWN_ORDERS,
    tag: TAG,
    summary: 'Places an order at a restaurant; stock and payment are processed afterwards',
    query: outboxQuery,
    body: outboxOrderBody,
    headers: ['Idempotency-Key'],
    answers: {
      202: { description: 'The order was placed', schema: placedOrder, headers: ['Location', 'ETag'] },
      404: { description: 'There is no such restaurant' },
      409: { description: 'The restaurant is closed' },
    },
    async handle(ctx, { body, query, principal }) {
      const customerId = body.user_id ?? query.user_id;
      await placeItems(deps, ctx, principal, {
        operation: 'POST /api/v1/orders',
        body: { ...query, ...body },
        draft: {
          restaurantId: body.restaurant_id,
          ...(customerId === undefined ? {} : { customerId }),
          lines: body.items.map(({ menu_item_id: itemId, quantity }) => ({ itemId, quantity })),
        },
        placed,
      });
    },
  });
}

function reading({ orders }: OutboxDeps): Route {
  return route({
    method: 'GET',
    path: '/api/v1/orders/:id',
    access: { roles: ['customer', 'restaurant', 'operator'] },
    tag: TAG,
    summary: 'One order',
    headers: ['If-None-Match'],
    answers: {
      200: { description: 'The order', schema: outboxOrder, headers: ['ETag'] },
      304: UNCHANGED,
      404: NOT_FOUND,
    },
    async handle(ctx, { params, principal }) {
      send(ctx, shown(await findOrder(orders, principal, orderIdOf(params.id))));
    },
  });
}

function moving(deps: OutboxDeps): Route {
  return route({
    method: 'PATCH',
    path: '/api/v1/orders/:id/status',
    access: { roles: ['restaurant', 'operator'] },
    tag: TAG,
    summary:
      'Advances an order by one status; only its rider or an operator ends an order that a rider delivers',
    body: z.object({
      status: z.enum([...OUTBOX_WORDS, 'COMPLETED'], {
        error: `must be one of ${OUTBOX_WORDS.join(', ')}, COMPLETED`,
      }),
    }),
    headers: ['If-Match'],
    answers: {
      200: { description: 'The changed order', schema: outboxOrder, headers: ['ETag'] },
      404: NOT_FOUND,
      409: { description: 'This status cannot follow the order’s current status' },
    },
    async handle(ctx, { params, body, principal }) {
      const order = await findOrder(deps.orders, principal, orderIdOf(params.id));
      if (body.status === 'DELIVERED' && isDelivered(order) && !isOwnOrder(principal, order))
        throw new TiffinError('FORBIDDEN', `order '${order.id}' is delivered by a rider, who reports it`);
      await change(deps, ctx, order.id, body.status);
    },
  });
}

function cancelling(deps: OutboxDeps): Route {
  return route({
    method: 'POST',
    path: '/api/v1/orders/:id/cancel',
    access: OWN_ORDERS,
    tag: TAG,
    summary: 'Cancels an order that has not ended; its stock is released and its payment is returned',
    headers: ['Idempotency-Key', 'If-Match'],
    answers: {
      200: { description: 'The cancelled order', schema: outboxOrder, headers: ['ETag'] },
      404: NOT_FOUND,
      409: { description: 'The order has already ended' },
    },
    async handle(ctx, { params, principal }) {
      const { id } = await findOrder(deps.orders, principal, orderIdOf(params.id));
      await change(deps, ctx, id, 'CANCELLED', principal);
    },
  });
}

async function change(
  deps: OutboxDeps,
  ctx: Context,
  id: OrderId,
  word: OutboxWord,
  principal?: Principal,
): Promise<void> {
  const key =
    principal && idempotencyKey(ctx, principal, 'POST /api/v1/orders/{id}/cancel', fingerprintOf(id));
  const result = await changeOrder(deps, {
    id,
    commands: (order) => commandsTo(word, order),
    origin: { producer: 'order-service', traceparent: traceparent(ctx) },
    ifVersion: ifMatch(ctx),
    idempotency: key && { key, answer: shown },
  });
  if ('answer' in result) sendAgain(ctx, result.answer);
  else send(ctx, shown(result.result));
}

function placed(order: Order) {
  return {
    status: 202,
    headers: { Location: `/api/v1/orders/${order.id}`, ETag: etag(order.version) },
    body: {
      order_id: order.id,
      status: 'PLACED',
      total_amount: toDecimal(order.total.minor),
      message: 'The order was placed; its stock and payment are being processed.',
    },
  };
}

function shown(order: Order) {
  return { status: 200, headers: { ETag: etag(order.version) }, body: toOutboxOrder(order) };
}

function toOutboxOrder(order: Order): z.infer<typeof outboxOrder> {
  return {
    id: order.id,
    order_id: order.id,
    status: TRANSACTIONAL_OUTBOX[order.status],
    ...('reason' in order && order.reason ? { reason: order.reason } : {}),
    total_amount: toDecimal(order.total.minor),
    ...(order.price
      ? {
          base_total: toDecimal(order.price.baseMinor),
          discount_applied: toDecimal(order.price.discountMinor),
          fees_applied: toDecimal(order.price.feesMinor),
        }
      : {}),
    items: order.items.map(({ itemId, name = itemId, quantity, unitPriceMinor }) => ({
      name,
      quantity,
      ...(unitPriceMinor === undefined ? {} : { price: toDecimal(unitPriceMinor) }),
    })),
    created_at: toRfc3339(order.createdAt),
  };
}
