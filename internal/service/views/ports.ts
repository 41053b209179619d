/** The ports of the read side: the views in Redis, what they are made from, and the history of orders. */
import type { Delivery } from '../../domain/delivery.ts';
import type { Event } from '../../domain/events.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import type { PaymentState } from '../../domain/payment.ts';
import type { Transaction } from '../ports.ts';

/** All that is shown of an order, as it was at one moment. */
export interface OrderView {
  readonly order: Order;
  readonly delivery?: Pick<Delivery, 'state' | 'riderId' | 'eta'>;
  readonly payment?: PaymentState;
  readonly reservation?: 'reserved' | 'released';
  readonly revision: Revision;
}

/**
 * Later readings of an order have a higher one, compared from the left: how often anything of it has changed, and when
 * its ETA was computed, epoch ms. The time comes last, so that a clock that is ahead holds up no change of status.
 */
export type Revision = readonly [changes: number, etaAt: number];

/** What is true now. */
export interface ViewSource {
  read(orderIds: readonly OrderId[]): Promise<OrderView[]>;
}

/** The views may be evicted at any time, and an older one never replaces a newer. */
export interface OrderViews {
  /** Stores those that are newer than what is stored, and tells the listeners of those orders. Throws UNAVAILABLE. */
  put(views: readonly OrderView[]): Promise<void>;
  /** Undefined where it is not there, or the cache is away. */
  get(orderId: OrderId): Promise<OrderView | undefined>;
}

/** Every event of every order, long after the event log has let go of it. */
export interface History {
  /** An event that is there already stays. */
  append(tx: Transaction, events: readonly Event[]): Promise<void>;
  /** Oldest first, at most `limit` of the newest. */
  of(orderId: OrderId, limit: number): Promise<HistoryEntry[]>;
}

export interface HistoryEntry {
  readonly eventId: string;
  readonly eventType: string;
  /** Epoch ms. */
  readonly at: number;
  readonly producer: string;
  readonly payload: unknown;
}
