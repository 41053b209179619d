/** Texts for the event documents: when each event is published, and by which services; and the list of all consumers. */
import { readdir } from 'node:fs/promises';
import type { EventType } from '../../internal/domain/events.ts';
import type { AnyConsumer } from '../../internal/service/stream/consumer.ts';

export interface Origin {
  /** The services that publish the event; empty for events of external systems. */
  readonly by: readonly string[];
  readonly when: string;
}

const TIMER: Origin = { by: ['scheduler-worker'], when: 'a timer of the order ran out' };
/** order-service also publishes the status changes that clients request by its status route. */
const ORDERS = 'order-service';

export const ORIGINS: Record<EventType, Origin> = {
  'order.created': { by: [ORDERS], when: 'an order was placed' },
  'order.rescheduled': { by: [ORDERS], when: 'a waiting order was rescheduled' },
  'order.ready': { by: ['scheduler-worker'], when: 'an order became due' },
  'order.processing': { by: ['processing-service'], when: 'the processing of an order began' },
  'order.confirmed': {
    by: ['processing-service', ORDERS],
    when: 'its stock was reserved and its payment authorized',
  },
  'order.accepted': { by: ['restaurant-service', ORDERS], when: 'the restaurant accepted the order' },
  'order.preparing': { by: ['restaurant-service', ORDERS], when: 'the kitchen began to prepare the order' },
  'order.rider_assigned': { by: ['delivery-service', ORDERS], when: 'a rider was assigned to the order' },
  'order.out_for_delivery': {
    by: ['delivery-service', ORDERS],
    when: 'the order was picked up for delivery',
  },
  'order.delivered': { by: ['delivery-service', ORDERS], when: 'the order was delivered' },
  'order.completed': {
    by: ['processing-service', ORDERS],
    when: 'the order was collected, or has nothing to deliver',
  },
  'order.failed': {
    by: ['processing-service', ORDERS],
    when: 'the order failed, for the given reason',
  },
  'order.rejected': {
    by: ['restaurant-service', 'processing-service'],
    when: 'the restaurant rejected the order, or did not answer in time',
  },
  'order.cancelled': { by: [ORDERS], when: 'the order was cancelled' },
  'order.noted': {
    by: ['processing-service', 'maintenance-service'],
    when: 'a fact came too late to change the order’s status, or the order’s customer was erased (ERASED)',
  },
  'order.validated': { by: [], when: 'an external system validated an order' },
  'inventory.reserved': { by: ['inventory-service'], when: 'all items of the order were reserved' },
  'inventory.rejected': { by: ['inventory-service'], when: 'the stock of an item is too low for the order' },
  'inventory.released': { by: ['inventory-service'], when: 'the reservation was released' },
  'inventory.low_stock': { by: ['inventory-service'], when: 'the stock of an item fell below its threshold' },
  'payment.pending': {
    by: ['payment-service'],
    when: 'the payment was requested, and the provider has not decided yet',
  },
  'payment.authorized': { by: ['payment-service'], when: 'the payment was authorized' },
  'payment.failed': {
    by: ['payment-service'],
    when: 'the payment was declined, or abandoned since its order had ended',
  },
  'payment.captured': { by: ['payment-service'], when: 'the payment was captured' },
  'payment.voided': { by: ['payment-service'], when: 'the authorization was voided' },
  'payment.refunded': { by: ['payment-service'], when: 'the payment was refunded' },
  'restaurant.accepted': { by: ['restaurant-service'], when: 'the restaurant accepted the ticket' },
  'restaurant.rejected': { by: ['restaurant-service'], when: 'the restaurant rejected the ticket' },
  'restaurant.ready': { by: ['restaurant-service'], when: 'the restaurant reported that the food is ready' },
  'rider.requested': {
    by: ['restaurant-service', 'processing-service'],
    when: 'an order needs a rider',
  },
  'delivery.requested': {
    by: ['delivery-service'],
    when: 'a delivery found no free rider and waits for one',
  },
  'delivery.assigned': { by: ['delivery-service'], when: 'a rider was assigned to the delivery' },
  'delivery.picked_up': { by: ['delivery-service'], when: 'the rider picked the order up' },
  'delivery.delivered': { by: ['delivery-service'], when: 'the rider delivered the order' },
  'delivery.released': {
    by: ['delivery-service'],
    when: 'the rider was released without delivering the order',
  },
  'delivery.withdrawn': {
    by: ['delivery-service'],
    when: 'the delivery ended before it had a rider',
  },
  'eta.updated': { by: ['delivery-service'], when: 'the estimated time of arrival was updated' },
  'notification.sent': {
    by: ['notification-service'],
    when: 'the provider accepted a message to the customer',
  },
  'timer.deadline': TIMER,
  'timer.checks': TIMER,
  'timer.logic': TIMER,
  'timer.rider': TIMER,
  'timer.eta': TIMER,
  'timer.notification': TIMER,
  'timer.payment': TIMER,
};

const SERVICE_DIR = new URL('../../internal/service/', import.meta.url);

/** All consumers of the system, made by the exported functions of internal/service whose names end in 'Consumer'. */
export async function allConsumers(): Promise<AnyConsumer[]> {
  // A consumer's name, topics and types do not depend on its dependencies, so a placeholder suffices.
  const placeholder = { timeZone: 'UTC' };
  const consumers: AnyConsumer[] = [];
  const files = await readdir(SERVICE_DIR, { recursive: true });
  for (const file of files.filter((name) => /(?<!\.test)\.ts$/.test(name)).sort()) {
    // A text with the beginning and the end of the path, so that a bundler knows which files are meant.
    const module: Record<string, unknown> = await import(`../../internal/service/${file.slice(0, -3)}.ts`);
    for (const [name, make] of Object.entries(module)) {
      if (name.endsWith('Consumer') && typeof make === 'function')
        consumers.push(make(placeholder, placeholder));
    }
  }
  return consumers.sort((a, b) => (a.name < b.name ? -1 : 1));
}
