/** What the holder of a tracking link sees of an order: all that happens to it, and nothing that tells who ordered it. */
import { z } from 'zod';
import { toDecimal } from '../../../../domain/money.ts';
import { isFinal, journey, ORDER_STATUSES, type Order } from '../../../../domain/order.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { OrderView } from '../../../../service/views/ports.ts';
import { paymentSchema, paymentWord, timelineOf } from './ui-routes.ts';

const time = z.string().meta({ format: 'date-time' });

const trackedOrder = z
  .object({
    orderId: z.string(),
    restaurantId: z.string().optional(),
    status: z.enum(ORDER_STATUSES),
    reason: z.string().optional(),
    steps: z
      .array(z.enum(ORDER_STATUSES))
      .meta({ description: 'The statuses of this order if all goes well' }),
    items: z.array(z.object({ itemId: z.string(), name: z.string().optional(), quantity: z.number() })),
    totalAmount: z.number(),
    currency: z.string(),
    payment: paymentSchema,
    arrival: z.object({ from: time, to: time, computedAt: time }).nullable(),
    timeline: z.array(z.object({ status: z.string(), at: time })),
    scheduledAt: time.optional(),
    dueAt: time,
    canCancel: z.boolean(),
    canReschedule: z.boolean(),
    version: z.int(),
    updatedAt: time,
  })
  .meta({ id: 'TrackedOrder' });

export const followedOrder = trackedOrder
  .extend({
    link: z.object({
      may: z.enum(['read', 'change']),
      expiresAt: time,
      readToken: z
        .string()
        .optional()
        .meta({ description: 'Of a link for changing: the token of one for reading, to send on' }),
    }),
  })
  .meta({ id: 'FollowedOrder' });

export const changedOrder = trackedOrder
  .pick({ orderId: true, status: true, scheduledAt: true, version: true })
  .meta({ id: 'ChangedOrder' });

export function toTracked(view: OrderView): z.infer<typeof trackedOrder> {
  const { order, delivery } = view;
  const { eta } = delivery ?? {};
  // A customer's own words are not for everyone who has the link; a restaurant's are for the customer.
  const reason = 'reason' in order && order.status !== 'CANCELLED' ? order.reason : undefined;
  return {
    orderId: order.id,
    ...(order.restaurantId ? { restaurantId: order.restaurantId } : {}),
    status: order.status,
    ...(reason ? { reason } : {}),
    steps: [...journey(order)],
    items: order.items.map(({ itemId, name, quantity }) => ({ itemId, ...(name ? { name } : {}), quantity })),
    totalAmount: toDecimal(order.total.minor),
    currency: order.total.currency,
    payment: paymentWord(view),
    arrival: eta
      ? { from: toRfc3339(eta.median), to: toRfc3339(eta.p90), computedAt: toRfc3339(eta.computedAt) }
      : null,
    timeline: timelineOf(order),
    ...(order.scheduledAt === undefined ? {} : { scheduledAt: toRfc3339(order.scheduledAt) }),
    dueAt: toRfc3339(order.dueAt),
    canCancel: !isFinal(order.status),
    canReschedule: order.status === 'CREATED',
    version: order.version,
    updatedAt: toRfc3339(order.updatedAt),
  };
}

export function toChanged({ id, status, scheduledAt, version }: Order): z.infer<typeof changedOrder> {
  return {
    orderId: id,
    status,
    ...(scheduledAt === undefined ? {} : { scheduledAt: toRfc3339(scheduledAt) }),
    version,
  };
}
