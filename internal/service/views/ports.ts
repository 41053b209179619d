/** The ports of the read models: the views in Redis, their source in Postgres, and the history of orders. */
import type { Delivery } from '../../domain/delivery.ts';
import type { Event } from '../../domain/events.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import type { PaymentState } from '../../domain/payment.ts';

/** The read model of an order: a consistent snapshot of its rows. */
export interface OrderView {
  readonly order: Order;
  readonly delivery?: Pick<Delivery, 'state' | 'riderId' | 'eta'>;
  readonly payment?: PaymentState;
  readonly reservation?: 'reserved' | 'released';
  readonly revision: Revision;
}

/**
 * The version of a view, compared from the left: the number of changes of the order's rows, then the time of its ETA,
 * epoch ms. The time comes last, so that a clock that is ahead never hides a change of status.
 */
export type Revision = readonly [changes: number, etaAt: number];

/** Reads views from Postgres. Unknown ids are absent from the result. */
export interface ViewSource {
  read(orderIds: readonly OrderId[]): Promise<OrderView[]>;
}

/** The views in Redis. A view may be evicted at any time, and an older one never replaces a newer one. */
export interface OrderViews {
  /** Stores the views that are newer than the stored ones, and notifies the listeners of those orders. Throws UNAVAILABLE. */
  put(views: readonly OrderView[]): Promise<void>;
  /** Undefined if the view is missing or Redis is unreachable. */
  get(orderId: OrderId): Promise<OrderView | undefined>;
}

/** The events of every order; kept longer than the event log keeps them. */
export interface History {
  /** Ignores events that are already stored. Throws UNAVAILABLE. */
  append(events: readonly Event[]): Promise<void>;
  /** The newest `limit` events of the order, oldest first. Throws UNAVAILABLE. */
  of(orderId: OrderId, limit: number): Promise<HistoryEntry[]>;
  /**
   * Replaces the payloads of the orders' entries, such as by ones without a person's data, and returns how many changed. An
   * event that is appended again does not bring the old payload back. Throws UNAVAILABLE; may be repeated.
   */
  rewrite(orderIds: readonly OrderId[], change: (entry: HistoryEntry) => unknown): Promise<number>;
}

/** Which of these orders were erased: what arrives about them later must not bring a person's data back. Throws UNAVAILABLE. */
export type ErasedAmong = (orderIds: readonly string[]) => Promise<ReadonlySet<string>>;

export interface HistoryEntry {
  readonly eventId: string;
  readonly eventType: string;
  /** Epoch ms. */
  readonly at: number;
  readonly producer: string;
  readonly payload: unknown;
}
