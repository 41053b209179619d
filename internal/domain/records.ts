/** Builds the JSON record of an event for a topic: the envelope, and beside it the topic's flat fields for external consumers. */
import { FOOD_ORDERING, ORDER_MANAGER, TRANSACTIONAL_OUTBOX } from './dialects.ts';
import type { Event, Payload } from './events.ts';
import type { OrderStatus } from './order.ts';

/** The record of an event on one topic. Flat fields and status words follow the dialect of the topic. */
export function toRecord(event: Event, topic: string): Record<string, unknown> {
  return { ...event, ...flatFields(event, topic) };
}

type Flat = Record<string, unknown>;

function flatFields(event: Event, topic: string): Flat {
  switch (topic) {
    case 'order.created':
      return event.eventType === 'order.created'
        ? {
            order_id: event.orderId,
            created_at: event.occurredAt,
            ...(event.payload.scheduledAt ? { scheduled_at: event.payload.scheduledAt } : {}),
          }
        : {};
    case 'order.ready':
      return event.eventType === 'order.ready'
        ? { order_id: event.orderId, ready_at: event.payload.readyAt }
        : {};
    case 'order.completed':
      return { order_id: event.orderId, completed_at: event.occurredAt };
    case 'order_placed':
      return event.eventType === 'order.created' ? placement(event.payload, event.occurredAt) : {};
    case 'order_accepted':
      return event.eventType === 'restaurant.accepted' ? { status: 'ACCEPTED', ...event.payload } : {};
    case 'rider_request':
      return event.eventType === 'rider.requested' ? event.payload : {};
    case 'rider_assigned':
      // This topic prescribes the event type 'rider_assigned', which other systems publish there too.
      return event.eventType === 'delivery.assigned' ? { eventType: 'rider_assigned', ...event.payload } : {};
    case 'order_events':
      return normalized(event);
    case 'order_status_updates':
    case 'db_write_order_status':
      return managed(event, topic);
    case 'notification_sent':
      return event.eventType === 'notification.sent' ? event.payload : {};
    default:
      return {};
  }
}

function placement(payload: Payload<'order.created'>, createdAt: string): Flat {
  const { customerId, restaurantId, items, deliveryAddress, specialInstructions } = payload;
  return {
    status: 'PLACED',
    createdAt,
    customerId,
    restaurantId,
    items: items.map(({ itemId, quantity }) => ({ itemId, quantity })),
    deliveryAddress,
    specialInstructions,
  };
}

/** `aliases` are the event's names in the transactional-outbox dialect. */
function normalized(event: Event): Flat {
  switch (event.eventType) {
    case 'order.created':
      return { status: 'PLACED', at: event.occurredAt, aliases: ['order.placed.v1'] };
    case 'inventory.reserved':
      return { aliases: ['inventory.deducted.success.v1'] };
    case 'inventory.low_stock':
      return { aliases: ['inventory.low_stock_alert.v1'] };
    default: {
      const status = statusOf(event);
      return status
        ? { status: FOOD_ORDERING[status], at: event.occurredAt, aliases: aliasesOf(status) }
        : {};
    }
  }
}

function aliasesOf(status: OrderStatus): string[] {
  const word = TRANSACTIONAL_OUTBOX[status];
  return word === 'CANCELLED'
    ? ['order.cancelled.v1', 'order.status.cancelled.v1']
    : [`order.status.${word.toLowerCase()}.v1`];
}

function managed(event: Event, topic: string): Flat {
  const status = statusOf(event);
  if (!status) return {};
  const payload = event.payload as Partial<Payload<'order.confirmed'>>;
  const flat = {
    order_id: event.orderId,
    status: ORDER_MANAGER[status],
    timestamp: event.occurredAt,
    details: {
      status,
      ...(payload.reason ? { reason: payload.reason } : {}),
      ...(payload.totalAmount ? { final_total: Number(payload.totalAmount) } : {}),
      ...(payload.price
        ? {
            base_total: Number(payload.price.base),
            discount_applied: Number(payload.price.discount),
            fees_applied: Number(payload.price.fees),
          }
        : {}),
    },
  };
  if (topic !== 'db_write_order_status') return flat;
  return {
    ...flat,
    user_id: payload.customerId,
    items: payload.items?.map(({ itemId, quantity, unitPrice }) => ({
      item_id: itemId,
      quantity,
      ...(unitPrice === undefined ? {} : { price: Number(unitPrice) }),
    })),
    total_price: payload.totalAmount === undefined ? undefined : Number(payload.totalAmount),
  };
}

/** The new status of an order; undefined for an event that is no change of status. */
export function statusOf(event: Event): OrderStatus | undefined {
  return event.eventType.startsWith('order.') && 'status' in event.payload ? event.payload.status : undefined;
}
