/** The topics: which ones each event type is published to, and where dead letters go. */
import type { Event, EventType } from './events.ts';

const CHANGE_TOPICS = ['raw.order-events', 'order_events', 'order_status_updates'] as const;

/** The topics of each event type. */
export const TOPICS: Record<EventType, readonly string[]> = {
  'order.created': ['order.created', 'raw.order-events', 'order_placed', 'order_events'],
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
  'order.validated': ['validated_orders'],
  'inventory.reserved': ['raw.inventory-events', 'order_events'],
  'inventory.rejected': ['raw.inventory-events'],
  'inventory.released': ['raw.inventory-events'],
  'inventory.low_stock': ['raw.inventory-events', 'order_events'],
  'payment.pending': ['raw.payment-events'],
  'payment.authorized': ['raw.payment-events'],
  'payment.failed': ['raw.payment-events'],
  'payment.captured': ['raw.payment-events'],
  'payment.voided': ['raw.payment-events'],
  'payment.refunded': ['raw.payment-events'],
  'restaurant.accepted': ['order_accepted', 'raw.order-events'],
  'restaurant.rejected': ['raw.order-events'],
  'restaurant.ready': ['raw.order-events'],
  'rider.requested': ['rider_request'],
  'delivery.requested': ['raw.delivery-events'],
  'delivery.assigned': ['rider_assigned', 'raw.delivery-events'],
  'delivery.picked_up': ['raw.delivery-events'],
  'delivery.delivered': ['raw.delivery-events'],
  'delivery.released': ['raw.delivery-events'],
  'delivery.withdrawn': ['raw.delivery-events'],
  'eta.updated': ['raw.delivery-events'],
  'notification.sent': ['notification_sent'],
  'timer.deadline': ['timers'],
  'timer.checks': ['timers'],
  'timer.logic': ['timers'],
  'timer.rider': ['timers'],
  'timer.eta': ['timers'],
  'timer.notification': ['timers'],
  'timer.payment': ['timers'],
};

/** Topics that Tiffin reads and only other systems write. */
export const INBOUND_TOPICS: readonly string[] = ['validated_orders'];

export const DEAD_LETTER_TOPICS = [
  'dlq.order-events',
  'dlq.inventory-events',
  'dlq.payment-events',
  'dlq.delivery-events',
] as const;

/** Every topic, dead-letter topics included. */
export const ALL_TOPICS: readonly string[] = [
  ...new Set([...Object.values(TOPICS).flat(), ...INBOUND_TOPICS, ...DEAD_LETTER_TOPICS]),
];

/** Topics that only other systems read; an operator may disable them. */
export const OUTSIDE_TOPICS: readonly string[] = [
  'order.created',
  'order.completed',
  'order_placed',
  'order_events',
  'order_status_updates',
  'db_write_order_status',
  'notification_sent',
];

/**
 * The topics of an event. The final record of an order with items goes to `db_write_order_status` once: on CONFIRMED, which
 * its completion is to the readers of that topic.
 */
export function topicsOf({ eventType, payload }: Event): readonly string[] {
  const wasConfirmed = eventType === 'order.completed' && (payload.items?.length ?? 0) > 0;
  return wasConfirmed
    ? TOPICS[eventType].filter((topic) => topic !== 'db_write_order_status')
    : TOPICS[eventType];
}

/** The event types that are published to a topic. */
export function typesOn(topic: string): EventType[] {
  return (Object.keys(TOPICS) as EventType[]).filter((type) => TOPICS[type].includes(topic));
}

/** The topic for dead letters of records from `topic`. */
export function deadLetterTopic(topic: string): (typeof DEAD_LETTER_TOPICS)[number] {
  switch (topic) {
    case 'raw.inventory-events':
      return 'dlq.inventory-events';
    case 'raw.payment-events':
      return 'dlq.payment-events';
    case 'raw.delivery-events':
    case 'rider_request':
    case 'rider_assigned':
      return 'dlq.delivery-events';
    default:
      return 'dlq.order-events';
  }
}
