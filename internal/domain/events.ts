/** Events as they travel: the envelope, a schema for each type's payload, and the one table of topics. */
import { z } from 'zod';
import { unreachable } from './errors.ts';
import { toDecimalText } from './money.ts';
import { ORDER_STATUSES, type Order, type OrderEvent } from './order.ts';
import { toRfc3339 } from './schedule.ts';

const time = z.iso.datetime({ offset: true });
const status = z.enum(ORDER_STATUSES);

/** A change of the order: the status it has now and the version that this change made. */
const change = z.object({ status, version: z.int().positive(), reason: z.string().optional() });

/** The payload of each event type. Changes are additive; `schemaVersion` rises with them. */
export const PAYLOADS = {
  'order.created': z.object({
    version: z.int().positive(),
    customerName: z.string().optional(),
    customerId: z.string().optional(),
    restaurantId: z.string().optional(),
    items: z.array(
      z.object({ itemId: z.string(), quantity: z.int().positive(), unitPrice: z.string().optional() }),
    ),
    deliveryAddress: z
      .object({ street: z.string(), city: z.string(), state: z.string(), zipCode: z.string() })
      .optional(),
    totalAmount: z.string(),
    currency: z.string(),
    /** What the customer asked for; absent for an immediate order. */
    scheduledAt: time.optional(),
    /** When the order is to leave; equal to the creation time for an immediate order. */
    dueAt: time,
  }),
  'order.rescheduled': z.object({ version: z.int().positive(), scheduledAt: time, dueAt: time }),
  /** Announced by the scheduler. `dueAt` is the schedule it was sent off for, `readyAt` when that happened. */
  'order.ready': z.object({ dueAt: time, readyAt: time }),
  'order.processing': change,
  'order.confirmed': change,
  'order.accepted': change,
  'order.preparing': change,
  'order.rider_assigned': change,
  'order.out_for_delivery': change,
  'order.delivered': change,
  'order.completed': change,
  'order.failed': change,
  'order.rejected': change,
  'order.cancelled': change,
  /** A fact that came too late to move the order. */
  'order.noted': z.object({ version: z.int().positive(), fact: z.string() }),
} as const;

export type EventType = keyof typeof PAYLOADS;
export type Payload<T extends EventType> = z.infer<(typeof PAYLOADS)[T]>;

export interface EventOf<T extends EventType> {
  readonly eventId: string;
  readonly eventType: T;
  readonly schemaVersion: number;
  /** When it happened, RFC 3339. */
  readonly occurredAt: string;
  /** When it was handed to the stream, RFC 3339. */
  readonly producedAt: string;
  /** The partition key: events of one order keep their order. */
  readonly orderId: string;
  readonly correlationId: string;
  readonly producer: string;
  /** W3C Trace Context of the request that set it off. */
  readonly traceparent?: string | undefined;
  readonly payload: Payload<T>;
}

/** Any event, discriminated by `eventType`. */
export type Event = { [T in EventType]: EventOf<T> }[EventType];

/** No control characters and no half of a surrogate pair: neither can be stored as text. */
const STORABLE = /^[^\p{Cc}\p{Cs}]+$/u;

const envelope = z.object({
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

/** Reads a record from a topic; the fault is a sentence that names every field that is wrong. */
export function parseEvent(record: unknown): { event: Event } | { fault: string } {
  const outer = envelope.safeParse(record);
  if (!outer.success) return { fault: z.prettifyError(outer.error) };
  const { eventType } = outer.data;
  if (!isEventType(eventType)) return { fault: `unknown event type '${eventType}'` };
  const payload = PAYLOADS[eventType].safeParse(outer.data.payload);
  if (!payload.success) return { fault: z.prettifyError(payload.error) };
  return { event: { ...outer.data, eventType, payload: payload.data } as Event };
}

const CHANGE_TOPICS = ['raw.order-events', 'order_events', 'order_status_updates'] as const;

/** Which topics an event type is published to. Consumers of the system itself read the first that carries what they need. */
export const TOPICS: Record<EventType, readonly string[]> = {
  'order.created': ['order.created', 'raw.order-events', 'order_placed'],
  'order.rescheduled': ['raw.order-events'],
  'order.ready': ['order.ready'],
  'order.processing': CHANGE_TOPICS,
  'order.confirmed': [...CHANGE_TOPICS, 'db_write_order_status'],
  'order.accepted': CHANGE_TOPICS,
  'order.preparing': CHANGE_TOPICS,
  'order.rider_assigned': CHANGE_TOPICS,
  'order.out_for_delivery': CHANGE_TOPICS,
  'order.delivered': CHANGE_TOPICS,
  'order.completed': [...CHANGE_TOPICS, 'db_write_order_status', 'order.completed'],
  'order.failed': [...CHANGE_TOPICS, 'db_write_order_status'],
  'order.rejected': CHANGE_TOPICS,
  'order.cancelled': CHANGE_TOPICS,
  'order.noted': ['raw.order-events'],
};

/** Topics that others write to and Tiffin reads. */
export const INBOUND_TOPICS = ['validated_orders'] as const;

/** Every topic there is, dead letters included. */
export const ALL_TOPICS: readonly string[] = [
  ...new Set([...Object.values(TOPICS).flat(), ...INBOUND_TOPICS, 'dlq.order-events']),
];

/** The event types that appear on a topic. */
export function typesOn(topic: string): EventType[] {
  return (Object.keys(TOPICS) as EventType[]).filter((type) => TOPICS[type].includes(topic));
}

/** Where a record that could not be handled is announced. */
export function deadLetterTopic(_topic: string): string {
  return 'dlq.order-events';
}

/** The JSON record of an event on its topics: the envelope, with the flat fields that plain consumers read beside it. */
export function toRecord(event: Event): Record<string, unknown> {
  return { ...event, ...flatFields(event) };
}

function flatFields(event: Event): Record<string, unknown> {
  const order_id = event.orderId;
  switch (event.eventType) {
    case 'order.created':
      return {
        order_id,
        created_at: event.occurredAt,
        ...(event.payload.scheduledAt ? { scheduled_at: event.payload.scheduledAt } : {}),
      };
    case 'order.ready':
      return { order_id, ready_at: event.payload.readyAt };
    case 'order.completed':
      return { order_id, completed_at: event.occurredAt, status: 'COMPLETED', timestamp: event.occurredAt };
    case 'order.rescheduled':
    case 'order.noted':
      return { order_id };
    default:
      return {
        order_id,
        status: event.payload.status,
        timestamp: event.occurredAt,
        ...(event.payload.reason ? { details: { reason: event.payload.reason } } : {}),
      };
  }
}

/** Where an event comes from. */
export interface Origin {
  readonly producer: string;
  readonly traceparent?: string | undefined;
}

/** The event that announces a change of an order; `order` is the order after it. */
export function announce(change: OrderEvent, order: Order, eventId: string, origin: Origin): Event {
  const at = toRfc3339(change.at);
  const base = {
    eventId,
    schemaVersion: 1,
    occurredAt: at,
    producedAt: at,
    orderId: order.id,
    // The order's id ties its whole life together; `traceparent` leads back to the request.
    correlationId: order.id,
    producer: origin.producer,
    ...(origin.traceparent ? { traceparent: origin.traceparent } : {}),
  };
  const { version } = order;
  switch (change.type) {
    case 'created':
      return { ...base, eventType: 'order.created', payload: creation(order) };
    case 'rescheduled':
      return {
        ...base,
        eventType: 'order.rescheduled',
        payload: { version, scheduledAt: toRfc3339(change.scheduledAt), dueAt: toRfc3339(change.dueAt) },
      };
    case 'advanced':
      return { ...base, eventType: ADVANCED[change.to], payload: { status: change.to, version } };
    case 'failed':
      return {
        ...base,
        eventType: 'order.failed',
        payload: { status: 'FAILED', version, reason: change.reason },
      };
    case 'rejected':
      return {
        ...base,
        eventType: 'order.rejected',
        payload: { status: 'REJECTED', version, reason: change.reason },
      };
    case 'cancelled':
      return {
        ...base,
        eventType: 'order.cancelled',
        payload: { status: 'CANCELLED', version, ...(change.reason ? { reason: change.reason } : {}) },
      };
    case 'noted':
      return { ...base, eventType: 'order.noted', payload: { version, fact: change.fact } };
    default:
      return unreachable(change);
  }
}

const ADVANCED = {
  PROCESSING: 'order.processing',
  CONFIRMED: 'order.confirmed',
  ACCEPTED: 'order.accepted',
  PREPARING: 'order.preparing',
  RIDER_ASSIGNED: 'order.rider_assigned',
  OUT_FOR_DELIVERY: 'order.out_for_delivery',
  DELIVERED: 'order.delivered',
  COMPLETED: 'order.completed',
} as const;

function creation(order: Order): Payload<'order.created'> {
  return {
    version: order.version,
    customerName: order.customerName,
    customerId: order.customerId,
    restaurantId: order.restaurantId,
    items: order.items.map(({ itemId, quantity, unitPriceMinor }) => ({
      itemId,
      quantity,
      ...(unitPriceMinor === undefined ? {} : { unitPrice: toDecimalText(unitPriceMinor) }),
    })),
    deliveryAddress: order.deliveryAddress,
    totalAmount: toDecimalText(order.total.minor),
    currency: order.total.currency,
    ...(order.scheduledAt === undefined ? {} : { scheduledAt: toRfc3339(order.scheduledAt) }),
    dueAt: toRfc3339(order.dueAt),
  };
}
