/** The port of the order store: placing, reading and listing orders. */
import type { Event } from '../../domain/events.ts';
import type { Order, OrderId, OrderStatus } from '../../domain/order.ts';
import type { IdempotencyKey, StoredResponse } from '../ports.ts';

/** A new order with its order.created event, and the response to store if the request has an idempotency key. */
export interface Placement {
  readonly order: Order;
  readonly event: Event;
  /** SHA-256 of the request's content; tells a repeated request from another order with the same id. */
  readonly fingerprint: string;
  readonly idempotency?: { readonly key: IdempotencyKey; readonly answer: StoredResponse };
}

export type PlacementOutcome =
  | { readonly outcome: 'placed' }
  /** The idempotency key has a stored response; nothing was stored. */
  | { readonly outcome: 'answered'; readonly answer: StoredResponse }
  /** An order with this id exists; nothing was stored. `order` is as it is now, `fingerprint` that of its request. */
  | { readonly outcome: 'id-taken'; readonly order: Order; readonly fingerprint: string };

export interface OrderQuery {
  readonly status?: OrderStatus;
  /** Created at or after this time, epoch ms. */
  readonly createdFrom?: number;
  /** Created before this time, epoch ms. */
  readonly createdBefore?: number;
  /** Keyset pagination: only orders that come after this one, from newest to oldest. */
  readonly after?: { readonly createdAt: number; readonly id: OrderId };
  readonly limit: number;
}

export interface OrderStore {
  /** Stores all orders with their events and responses in one transaction; one outcome for each, in the same order. */
  place(placements: readonly Placement[]): Promise<PlacementOutcome[]>;
  /** Stores the response to a request that repeated an earlier order; a response that is already stored stays. */
  saveResponse(key: IdempotencyKey, answer: StoredResponse): Promise<void>;
  /** The orders with these ids, in no particular order; unknown ids are absent. */
  find(ids: readonly OrderId[]): Promise<Order[]>;
  /** Newest first. */
  list(query: OrderQuery): Promise<Order[]>;
}
