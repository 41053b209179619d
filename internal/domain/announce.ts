/** Builds events: from a change of an order, and from any other fact. */
import { unreachable } from './errors.ts';
import type { Event, EventOf, EventType, Payload } from './events.ts';
import { toDecimalText } from './money.ts';
import { nextMilestones, type Order } from './order.ts';
import type { OrderEvent } from './order-decisions.ts';
import { toRfc3339 } from './schedule.ts';

/** The service that publishes an event, and the W3C Trace Context of the request behind it. */
export interface Origin {
  readonly producer: string;
  readonly traceparent?: string | undefined;
}

/** The event for a change of an order; `order` is the order after the change. */
export function announce(change: OrderEvent, order: Order, eventId: string, origin: Origin): Event {
  const at = toRfc3339(change.at);
  const base = {
    eventId,
    schemaVersion: 1,
    occurredAt: at,
    producedAt: at,
    orderId: order.id,
    // All events of an order share its id as correlation id; `traceparent` names the request.
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
      return {
        ...base,
        eventType: ADVANCED[change.to],
        payload: {
          status: change.to,
          version,
          ...(change.to === 'CONFIRMED' || change.to === 'COMPLETED' ? enrichment(order) : {}),
          ...(change.to === 'PROCESSING' ? { next: nextMilestones(order)[0] } : {}),
        },
      };
    case 'failed':
      return {
        ...base,
        eventType: 'order.failed',
        payload: { status: 'FAILED', reason: change.reason, version, ...enrichment(order) },
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
    items: linesOf(order),
    deliveryAddress: order.deliveryAddress,
    specialInstructions: order.specialInstructions,
    totalAmount: toDecimalText(order.total.minor),
    currency: order.total.currency,
    price: priceOf(order),
    ...(order.scheduledAt === undefined ? {} : { scheduledAt: toRfc3339(order.scheduledAt) }),
    dueAt: toRfc3339(order.dueAt),
  };
}

/** The content for consumers that store orders themselves; empty for an order without items. */
function enrichment(order: Order) {
  if (order.items.length === 0) return {};
  return {
    customerId: order.customerId,
    items: linesOf(order),
    totalAmount: toDecimalText(order.total.minor),
    currency: order.total.currency,
    price: priceOf(order),
  };
}

function linesOf(order: Order) {
  return order.items.map(({ itemId, name, quantity, unitPriceMinor }) => ({
    itemId,
    ...(name === undefined ? {} : { name }),
    quantity,
    ...(unitPriceMinor === undefined ? {} : { unitPrice: toDecimalText(unitPriceMinor) }),
  }));
}

function priceOf({ price }: Order) {
  return (
    price && {
      base: toDecimalText(price.baseMinor),
      discount: toDecimalText(price.discountMinor),
      fees: toDecimalText(price.feesMinor),
    }
  );
}

let lastTime = { at: 0, text: toRfc3339(0) };

/** The event for a fact about an order; `at` is epoch ms. */
export function fact<T extends EventType>(
  eventType: T,
  orderId: string,
  payload: Payload<T>,
  { eventId, at, ...origin }: Origin & { eventId: string; at: number },
): EventOf<T> {
  // The events of a batch have the same time.
  if (at !== lastTime.at) lastTime = { at, text: toRfc3339(at) };
  const time = lastTime.text;
  return {
    eventId,
    eventType,
    schemaVersion: 1,
    occurredAt: time,
    producedAt: time,
    orderId,
    correlationId: orderId,
    producer: origin.producer,
    ...(origin.traceparent ? { traceparent: origin.traceparent } : {}),
    payload,
  };
}
