/** The order routes of the food-ordering dialect: `/v1/orders`. */
import { z } from 'zod';
import { FOOD_ORDERING, foodTimeline } from '../../../../domain/dialects.ts';
import type { Order } from '../../../../domain/order.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { OrderView } from '../../../../service/views/ports.ts';
import { type ViewDeps, viewOrder } from '../../../../service/views/project-views.ts';
import { mayReach } from '../../principal.ts';
import { etag, send, UNCHANGED, viewTag } from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { foodOrderBody } from './item-schemas.ts';
import { orderIdOf, orderNotFound } from './order-answers.ts';
import { type PlaceItemsDeps, placeItems, unchangedFields } from './place-items.ts';

const time = z.string().meta({ format: 'date-time' });
const word = z.enum([...new Set(Object.values(FOOD_ORDERING))]);

const placedOrder = z
  .object({ orderId: z.string(), status: z.literal('PLACED'), createdAt: time })
  .meta({ id: 'PlacedFoodOrder' });

const foodOrder = z
  .object({
    orderId: z.string(),
    customerId: z.string().optional(),
    restaurantId: z.string().optional(),
    status: word,
    reason: z.string().optional(),
    timeline: z.array(z.object({ status: word, at: time })),
    /** The median estimate. */
    eta: time.optional(),
  })
  .meta({ id: 'FoodOrder' });

export function foodOrderingRoutes(deps: PlaceItemsDeps & { now: () => number }): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/orders',
      access: { roles: ['customer', 'operator'] },
      tag: 'Food ordering',
      summary: 'Places an order for delivery at a restaurant',
      body: foodOrderBody(deps.now),
      headers: ['Idempotency-Key'],
      answers: {
        201: {
          description: 'The order was placed, now or by an earlier request',
          schema: placedOrder,
          headers: ['Location', 'ETag'],
        },
        404: { description: 'There is no such restaurant' },
        409: { description: 'The restaurant is closed, or another order has this id' },
      },
      async handle(ctx, { body, principal }) {
        const { restaurantId, items: lines, deliveryAddress, scheduledAt } = body;
        await placeItems(deps, ctx, principal, {
          operation: 'POST /v1/orders',
          body,
          draft: { ...unchangedFields(body), restaurantId, lines, deliveryAddress },
          scheduledAt,
          placed,
        });
      },
    }),
  ];
}

/** Reads the order from its view, or from the database if the view is missing. */
export function foodOrderView(deps: ViewDeps): Route {
  return route({
    method: 'GET',
    path: '/v1/orders/:id',
    access: { roles: ['customer', 'restaurant', 'rider', 'operator'] },
    tag: 'Food ordering',
    summary: 'One order: its status, its timeline and its estimated time of arrival',
    headers: ['If-None-Match'],
    answers: {
      200: { description: 'The order', schema: foodOrder, headers: ['ETag'] },
      304: UNCHANGED,
      404: { description: 'There is no such order, or it is someone else’s' },
    },
    async handle(ctx, { params, principal }) {
      const id = orderIdOf(params.id);
      const view = await viewOrder(deps, id);
      if (!view || !mayReach(principal, { ...view.order, riderId: view.delivery?.riderId }))
        throw orderNotFound(id);
      send(ctx, { status: 200, headers: { ETag: viewTag(view) }, body: toFoodOrder(view) });
    },
  });
}

function placed(order: Order) {
  return {
    status: 201,
    headers: { Location: `/v1/orders/${order.id}`, ETag: etag(order.version) },
    body: { orderId: order.id, status: 'PLACED', createdAt: toRfc3339(order.createdAt) },
  };
}

function toFoodOrder({ order, delivery }: OrderView): z.infer<typeof foodOrder> {
  return {
    orderId: order.id,
    customerId: order.customerId,
    restaurantId: order.restaurantId,
    status: FOOD_ORDERING[order.status],
    ...('reason' in order && order.reason ? { reason: order.reason } : {}),
    timeline: foodTimeline(order),
    ...(delivery?.eta ? { eta: toRfc3339(delivery.eta.median) } : {}),
  };
}
