/** The acceptance tests of each of the five reference documents, by the document's name. */
import { deliveryEta } from './delivery-eta.ts';
import { foodOrdering } from './food-ordering.ts';
import { orderManager } from './order-manager.ts';
import { scheduledOrders } from './scheduled-orders.ts';
import type { System } from './system.ts';
import { transactionalOutbox } from './transactional-outbox.ts';

export const walks: readonly (readonly [name: string, walk: (system: () => System) => void])[] = [
  ['scheduled-orders', scheduledOrders],
  ['food-ordering', foodOrdering],
  ['order-manager', orderManager],
  ['delivery-eta', deliveryEta],
  ['transactional-outbox', transactionalOutbox],
];
