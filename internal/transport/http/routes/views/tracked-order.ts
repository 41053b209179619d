/** What the holder of a tracking link sees of an order: all that happens to it, and nothing that tells who ordered it. */
import { z } from 'zod';
import {
  ETA_REASONS,
  type Eta,
  type EtaChange,
  type Place,
  type Rider,
} from '../../../../domain/delivery.ts';
import { toDecimal } from '../../../../domain/money.ts';
import { journey, ORDER_STATUSES, type Order } from '../../../../domain/order.ts';
import { costOfCancelling, refundOf } from '../../../../domain/refund.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { OrderView } from '../../../../service/views/ports.ts';
import { paymentSchema, paymentWord, timelineOf } from './ui-routes.ts';

const time = z.string().meta({ format: 'date-time' });

const place = z.object({ latitude: z.number(), longitude: z.number() });
/** The data of an event `rider` of the stream, too. */
const riderPlace = place.extend({ at: time });

const delivery = z
  .object({
    restaurant: place.optional(),
    destination: place.optional().meta({ description: 'Only by a link for changing the order' }),
    rider: riderPlace.optional().meta({
      description: 'While a rider is on the way; by a link for reading rounded to about 100 m',
    }),
  })
  .meta({ description: 'What is known of the way, from the search for a rider on' });

const arrival = z.object({
  from: time,
  to: time,
  computedAt: time,
  why: z
    .enum(ETA_REASONS)
    .optional()
    .meta({ description: 'Why the window last changed by a minute or more' }),
  changedAt: time.optional(),
  before: z
    .object({ from: time, to: time })
    .optional()
    .meta({ description: 'The window before that change' }),
});

const refund = z.object({
  state: z.enum(['NONE', 'PENDING', 'DONE']).meta({
    description: 'Of an order that ended without success; a payment that was only reserved is released',
  }),
  amount: z.number(),
});

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
    refund,
    arrival: arrival.nullable(),
    delivery: delivery.nullable(),
    timeline: z.array(z.object({ status: z.string(), at: time })),
    scheduledAt: time.optional(),
    dueAt: time.meta({
      description: 'When the work on the order begins; of one for now, when it was placed',
    }),
    canCancel: z.boolean(),
    cancelCosts: z.number().optional().meta({
      description: 'What would not be given back if the order was cancelled now; absent if it cannot be',
    }),
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

export type Right = z.infer<typeof followedOrder>['link']['may'];

/** `rider` is the one on the way with the order, if any. */
export function toTracked(
  view: OrderView,
  may: Right,
  rider: Rider | undefined,
): z.infer<typeof trackedOrder> {
  const { order, delivery } = view;
  const cost = costOfCancelling(view.payment, order);
  const refund = refundOf(view.payment, order);
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
    refund: { state: refund.state, amount: toDecimal(refund.minor) },
    arrival: delivery?.eta ? toArrival(delivery.eta) : null,
    delivery: delivery
      ? {
          ...(delivery.pickup ? { restaurant: toPlace(delivery.pickup) } : {}),
          ...(delivery.dropoff && may === 'change' ? { destination: toPlace(delivery.dropoff) } : {}),
          ...(rider ? { rider: toRiderPlace(rider, may) } : {}),
        }
      : null,
    timeline: timelineOf(order),
    ...(order.scheduledAt === undefined ? {} : { scheduledAt: toRfc3339(order.scheduledAt) }),
    dueAt: toRfc3339(order.dueAt),
    canCancel: cost !== undefined,
    ...(cost === undefined ? {} : { cancelCosts: toDecimal(cost) }),
    canReschedule: order.status === 'CREATED',
    version: order.version,
    updatedAt: toRfc3339(order.updatedAt),
  };
}

function toArrival({ computedAt, change, ...eta }: Eta & { computedAt: number; change?: EtaChange }) {
  return {
    ...toWindow(eta),
    computedAt: toRfc3339(computedAt),
    ...(change ? { why: change.why, changedAt: toRfc3339(change.at) } : {}),
    ...(change?.from ? { before: toWindow(change.from) } : {}),
  };
}

function toWindow({ median, p90 }: Eta) {
  return { from: toRfc3339(median), to: toRfc3339(p90) };
}

/** A place to about 100 m does not lead a stranger to the door. */
const ROUGH = 1e3;

export function toRiderPlace({ place = [0, 0], placeAt = 0 }: Rider, may: Right): z.infer<typeof riderPlace> {
  const rough = (degrees: number) => Math.round(degrees * ROUGH) / ROUGH;
  const [latitude, longitude] = place;
  const shown: Place = may === 'change' ? place : [rough(latitude), rough(longitude)];
  return { ...toPlace(shown), at: toRfc3339(placeAt) };
}

function toPlace([latitude, longitude]: Place): z.infer<typeof place> {
  return { latitude, longitude };
}

export function toChanged({ id, status, scheduledAt, version }: Order): z.infer<typeof changedOrder> {
  return {
    orderId: id,
    status,
    ...(scheduledAt === undefined ? {} : { scheduledAt: toRfc3339(scheduledAt) }),
    version,
  };
}
