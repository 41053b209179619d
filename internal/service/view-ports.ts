/** The port of the views in Redis: they may be evicted at any time, and an older one never replaces a newer. */

import type { Delivery } from '../domain/delivery.ts';
import type { Order, OrderId } from '../domain/order.ts';
import type { Payment } from '../domain/payment.ts';

/** All that a view of an order shows. */
export interface OrderView {
  readonly order: Order;
  readonly delivery?: Delivery;
  readonly payment?: Payment;
}

export interface OrderViews {
  /** Stores them, but for those that are older than what is stored. Throws UNAVAILABLE. */
  put(views: readonly OrderView[]): Promise<void>;
  /** Those that are there; a cache that is away has none. */
  get(orderIds: readonly OrderId[]): Promise<Map<OrderId, OrderView>>;
}
