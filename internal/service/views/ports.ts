/** The ports of the read models: the views in Redis, their source in Postgres, and the history of orders. */
import type { Delivery } from '../../domain/delivery.ts';
import type { Event } from '../../domain/events.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import type { PaymentState } from '../../domain/payment.ts';

/** The read model of an order: a consistent snapshot of its rows. */
export interface OrderView {
  readonly order: Order;
  readonly delivery?: Pick<Delivery, 'state' | 'riderId' | 'pickup' | 'dropoff' | 'eta'>;
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
  /**
   * Stores the views that are newer than the stored ones, and notifies the listeners of those orders. Resolves with the orders
   * of which no view was stored. Throws UNAVAILABLE.
   */
  put(views: readonly OrderView[]): Promise<OrderId[]>;
  /** Undefined if the view is missing or Redis is unreachable. */
  get(orderId: OrderId): Promise<OrderView | undefined>;
}

/**
 * Goes through the views that are stored. A history is what one server has written since it was started or promoted; then it
 * begins another one, and may lack the last writes of the one before.
 */
export interface StoredViews {
  /** The histories of the servers that hold views now. Throws UNAVAILABLE. */
  histories(): Promise<string[]>;
  /** Whether a process has compared the views of this history with Postgres. Throws UNAVAILABLE. */
  isCompared(history: string): Promise<boolean>;
  setCompared(history: string): Promise<void>;
  /** Some of the views of a history that `histories` gave last, from the cursor on; `next` is undefined after the last. Throws UNAVAILABLE. */
  page(history: string, cursor: string | undefined): Promise<StoredPage>;
  /** Removes a view unless another one was stored in its place; returns whether it was removed. Throws UNAVAILABLE. */
  remove(version: StoredVersion): Promise<boolean>;
}

export interface StoredVersion {
  readonly orderId: OrderId;
  readonly revision: Revision;
}

export interface StoredPage {
  readonly versions: readonly StoredVersion[];
  readonly next: string | undefined;
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
