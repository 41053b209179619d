/** What the documents on events say in words: who announces an event and when, and whom a topic is for. */
import { readdir } from 'node:fs/promises';
import type { EventType } from '../../internal/domain/events.ts';
import type { AnyConsumer } from '../../internal/service/stream/consumer.ts';

export interface Origin {
  /** The services that announce it; none where it comes from outside. */
  readonly by: readonly string[];
  readonly when: string;
}

const TIMER: Origin = { by: ['scheduler-worker'], when: 'a timer of the order has run out' };
/** Whoever moves orders along at a request, by their status route. */
const ORDERS = 'order-service';

export const ORIGINS: Record<EventType, Origin> = {
  'order.created': { by: [ORDERS], when: 'an order was placed' },
  'order.rescheduled': { by: [ORDERS], when: 'an order that waits was moved to another time' },
  'order.ready': { by: ['scheduler-worker'], when: 'the time of an order has come' },
  'order.processing': { by: ['processing-service'], when: 'work on an order has begun' },
  'order.confirmed': { by: ['processing-service', ORDERS], when: 'stock and payment are put aside' },
  'order.accepted': { by: ['restaurant-service', ORDERS], when: 'the restaurant accepted it' },
  'order.preparing': { by: ['restaurant-service', ORDERS], when: 'the kitchen has begun' },
  'order.rider_assigned': { by: ['delivery-service', ORDERS], when: 'a rider has it' },
  'order.out_for_delivery': { by: ['delivery-service', ORDERS], when: 'the rider picked it up' },
  'order.delivered': { by: ['delivery-service', ORDERS], when: 'it was handed over' },
  'order.completed': { by: ['processing-service', ORDERS], when: 'nothing more is to be done for it' },
  'order.failed': {
    by: ['processing-service', ORDERS],
    when: 'it cannot be carried out, for the reason given',
  },
  'order.rejected': {
    by: ['restaurant-service', 'processing-service'],
    when: 'the restaurant refused it, or did not answer',
  },
  'order.cancelled': { by: [ORDERS], when: 'it was called off' },
  'order.noted': { by: ['processing-service'], when: 'a fact came too late to move the order' },
  'order.validated': { by: [], when: 'another system has validated an order' },
  'inventory.reserved': { by: ['inventory-service'], when: 'all its items are put aside' },
  'inventory.rejected': { by: ['inventory-service'], when: 'an item is not there in that quantity' },
  'inventory.released': { by: ['inventory-service'], when: 'what was put aside is free again' },
  'inventory.low_stock': { by: ['inventory-service'], when: 'an item fell below its threshold' },
  'payment.authorized': { by: ['payment-service'], when: 'the amount is held' },
  'payment.failed': { by: ['payment-service'], when: 'the payment was declined' },
  'payment.captured': { by: ['payment-service'], when: 'the amount was taken' },
  'payment.voided': { by: ['payment-service'], when: 'the amount is no longer held' },
  'payment.refunded': { by: ['payment-service'], when: 'the amount was given back' },
  'restaurant.accepted': { by: ['restaurant-service'], when: 'the restaurant accepted the ticket' },
  'restaurant.rejected': { by: ['restaurant-service'], when: 'the restaurant refused the ticket' },
  'rider.requested': {
    by: ['restaurant-service', 'processing-service'],
    when: 'an order is to be delivered',
  },
  'delivery.assigned': { by: ['delivery-service'], when: 'a rider was found' },
  'delivery.picked_up': { by: ['delivery-service'], when: 'the rider has the order in hand' },
  'delivery.delivered': { by: ['delivery-service'], when: 'the rider handed it over' },
  'delivery.released': { by: ['delivery-service'], when: 'the rider is free again without delivering' },
  'eta.updated': { by: ['delivery-service'], when: 'the time of arrival was estimated anew' },
  'notification.sent': { by: ['notification-service'], when: 'the provider took a message to the customer' },
  'timer.deadline': TIMER,
  'timer.checks': TIMER,
  'timer.rider': TIMER,
  'timer.eta': TIMER,
  'timer.notification': TIMER,
  'timer.payment': TIMER,
};

const SERVICE_DIR = new URL('../../internal/service/', import.meta.url);

/** All consumers of the system: what the functions of internal/service return whose names end in 'Consumer'. */
export async function allConsumers(): Promise<AnyConsumer[]> {
  // A consumer's name, topics and types do not depend on what it works with.
  const anything = { timeZone: 'UTC' };
  const consumers: AnyConsumer[] = [];
  const files = await readdir(SERVICE_DIR, { recursive: true });
  for (const file of files.filter((name) => /(?<!\.test)\.ts$/.test(name)).sort()) {
    const module: Record<string, unknown> = await import(new URL(file, SERVICE_DIR).href);
    for (const [name, make] of Object.entries(module)) {
      if (name.endsWith('Consumer') && typeof make === 'function') consumers.push(make(anything, anything));
    }
  }
  return consumers.sort((a, b) => (a.name < b.name ? -1 : 1));
}
