/** The events' schemas: one envelope, and a payload for each event type. topics.ts lists the topics of each type. */
import { z } from 'zod';
import { ORDER_STATUSES } from './order.ts';
import { canonicalTime } from './schedule.ts';

/** No time of an order is later; years beyond 9999 could not be written in later events. */
const LAST_TIME = '3000';
const time = z
  .string()
  .overwrite(canonicalTime)
  .datetime({ offset: true })
  .refine((text) => text < LAST_TIME, `must be before the year ${LAST_TIME}`);
const status = z.enum(ORDER_STATUSES);

const amount = z.string().regex(/^\d{1,10}\.\d\d$/);
const currency = z.string().regex(/^[A-Z]{3}$/);
const quantities = z.array(z.object({ itemId: z.string(), quantity: z.int().positive() }));
const address = z.object({ street: z.string(), city: z.string(), state: z.string(), zipCode: z.string() });
const place = z.object({ restaurantId: z.string().optional(), address: z.string() });
const lines = z.array(
  z.object({
    itemId: z.string(),
    name: z.string().optional(),
    quantity: z.int().positive(),
    unitPrice: z.string().optional(),
  }),
);
/** total = base - discount + fees; absent if the client gave the total. */
const price = z.object({ base: amount, discount: amount, fees: amount });

/** A change of the order: its new status and its new version. */
const change = z.object({ status, version: z.int().positive(), reason: z.string().optional() });
/** A change with the order's content, for consumers that store orders themselves. */
const enriched = change.extend({
  customerId: z.string().optional(),
  items: lines.optional(),
  totalAmount: amount.optional(),
  currency: currency.optional(),
  price: price.optional(),
});
const paid = z.object({ amount, currency });
/** A timer that was set for `dueAt` has run out; its consumer checks whether there is still something to do. */
const timer = z.object({ dueAt: time });

/** The payload of each event type. Payloads change by addition only; each change raises `schemaVersion`. */
export const PAYLOADS = {
  'order.created': z.object({
    version: z.int().positive(),
    customerName: z.string().optional(),
    customerId: z.string().optional(),
    restaurantId: z.string().optional(),
    items: lines,
    deliveryAddress: address.optional(),
    specialInstructions: z.string().optional(),
    totalAmount: z.string(),
    currency: z.string(),
    price: price.optional(),
    /** The time that the customer chose; absent for an immediate order. */
    scheduledAt: time.optional(),
    /** When the scheduler dispatches the order; the creation time for an immediate order. */
    dueAt: time,
  }),
  'order.rescheduled': z.object({ version: z.int().positive(), scheduledAt: time, dueAt: time }),
  /** Published by the scheduler: `dueAt` is the schedule that was dispatched, `readyAt` when. Another scheduler gives no `dueAt`. */
  'order.ready': z.object({ dueAt: time.optional(), readyAt: time }),
  /** `next` is the next status when all goes well. */
  'order.processing': change.extend({ next: status.optional() }),
  'order.confirmed': enriched,
  'order.accepted': change,
  'order.preparing': change,
  'order.rider_assigned': change,
  'order.out_for_delivery': change,
  'order.delivered': change,
  'order.completed': enriched,
  'order.failed': enriched,
  'order.rejected': change,
  'order.cancelled': change,
  /** A fact that arrived too late to change the order's status. */
  'order.noted': z.object({ version: z.int().positive(), fact: z.string() }),
  /** All items are reserved; `amountDue` is to be paid now. */
  'inventory.reserved': z.object({ items: quantities, amountDue: amount }),
  'inventory.rejected': z.object({
    reason: z.string(),
    items: z.array(z.object({ itemId: z.string(), requested: z.int(), available: z.int() })),
  }),
  'inventory.released': z.object({ items: quantities }),
  /** `orderId` is the order whose reservation took the stock to its threshold or below. */
  'inventory.low_stock': z.object({ itemId: z.string(), stockCount: z.int(), threshold: z.int() }),
  /** The provider was asked for the amount, and has not decided yet. */
  'payment.pending': paid,
  'payment.authorized': paid.extend({ authorizationId: z.string() }),
  'payment.failed': z.object({ reason: z.string() }),
  'payment.captured': paid,
  'payment.voided': paid,
  'payment.refunded': paid,
  'restaurant.accepted': z.object({
    restaurantId: z.string(),
    acceptedAt: time,
    estimatedReadyTime: time.optional(),
  }),
  'restaurant.rejected': z.object({ restaurantId: z.string(), rejectedAt: time, reason: z.string() }),
  'restaurant.ready': z.object({ restaurantId: z.string(), readyAt: time }),
  'rider.requested': z.object({
    pickupLocation: place.optional(),
    deliveryAddress: address.optional(),
    /** When it can be picked up; absent if unknown. */
    readyAt: time.optional(),
  }),
  /** The delivery waits for a rider; one that gets a rider at once begins with `delivery.assigned`. */
  'delivery.requested': z.object({ requestedAt: time }),
  'delivery.assigned': z.object({
    riderId: z.string(),
    assignedAt: time,
    pickupLocation: place.optional(),
  }),
  'delivery.picked_up': z.object({ riderId: z.string(), pickedUpAt: time }),
  'delivery.delivered': z.object({ riderId: z.string(), deliveredAt: time }),
  /** The order ended without a delivery by this rider, who is free again. */
  'delivery.released': z.object({ riderId: z.string() }),
  /** The delivery ended before it had a rider, after so many searches that found none. */
  'delivery.withdrawn': z.object({ searches: z.int().nonnegative() }),
  /** The expected time of delivery: the median, and the 90th percentile. */
  'eta.updated': z.object({ eta: time, etaP90: time, computedAt: time }),
  'notification.sent': z.object({ template: z.string(), to: z.string(), sentAt: time }),
  'timer.deadline': timer,
  'timer.checks': timer,
  'timer.logic': timer,
  'timer.rider': timer,
  'timer.eta': timer,
  'timer.notification': timer,
  'timer.payment': timer,
  /** An order that another system has validated, read from `validated_orders`; `price` is per unit, in minor units. */
  'order.validated': z.object({
    userId: z.string().min(1).max(128),
    items: z
      .array(z.object({ itemId: z.string(), quantity: z.int().positive(), price: z.int().nonnegative() }))
      .min(1),
  }),
} as const;

export type EventType = keyof typeof PAYLOADS;
export type Payload<T extends EventType> = z.infer<(typeof PAYLOADS)[T]>;

export interface EventOf<T extends EventType> {
  readonly eventId: string;
  readonly eventType: T;
  readonly schemaVersion: number;
  /** When the change happened, RFC 3339. */
  readonly occurredAt: string;
  /** When the event was handed to the stream, RFC 3339. */
  readonly producedAt: string;
  /** The partition key. */
  readonly orderId: string;
  readonly correlationId: string;
  readonly producer: string;
  /** W3C Trace Context of the request that caused the event. */
  readonly traceparent?: string | undefined;
  readonly payload: Payload<T>;
}

/** Any event, discriminated by `eventType`. */
export type Event = { [T in EventType]: EventOf<T> }[EventType];

/** No control characters and no lone surrogates: Postgres cannot store them as text. */
const STORABLE = /^[^\p{Cc}\p{Cs}]+$/u;

/** The fields of every event, around its payload. */
export const ENVELOPE = z.object({
  eventId: z.string().max(128).regex(STORABLE),
  eventType: z.string(),
  schemaVersion: z.int().positive(),
  occurredAt: time,
  producedAt: time,
  orderId: z.string().max(64).regex(STORABLE),
  correlationId: z.string(),
  producer: z.string(),
  traceparent: z.string().optional(),
  payload: z.record(z.string(), z.unknown()),
});

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(PAYLOADS, type);
}

const EVENTS = new Map(
  Object.entries(PAYLOADS).map(([type, payload]) => [type, ENVELOPE.extend({ payload })] as const),
);

/** Parses a record from a topic; `fault` is a text that names every invalid field. */
export function parseEvent(record: unknown): { event: Event } | { fault: string } {
  const type = (record as { eventType?: unknown } | null)?.eventType;
  const schema = (typeof type === 'string' ? EVENTS.get(type) : undefined) ?? ENVELOPE;
  const parsed = schema.safeParse(record);
  if (!parsed.success) return { fault: z.prettifyError(parsed.error) };
  if (schema === ENVELOPE) return { fault: `unknown event type '${parsed.data.eventType.slice(0, 64)}'` };
  return { event: parsed.data as Event };
}
