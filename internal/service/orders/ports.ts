/** The port of the orders in Postgres: placing, reading and listing them. */
import type { Event } from '../../domain/events.ts';
import type { Order, OrderId, OrderStatus } from '../../domain/order.ts';
import type { IdempotencyKey, StoredResponse } from '../ports.ts';

/** A new order with the event that announces it, and the answer to keep when the client named an idempotency key. */
export interface Placement {
  readonly order: Order;
  readonly event: Event;
  /** SHA-256 of what was asked for, so that the same id with other content is told apart. */
  readonly fingerprint: string;
  readonly idempotency?: { readonly key: IdempotencyKey; readonly answer: StoredResponse };
}

export type PlacementOutcome =
  | { readonly outcome: 'placed' }
  | { readonly outcome: 'answered'; readonly answer: StoredResponse }
  | { readonly outcome: 'id-taken'; readonly order: Order; readonly fingerprint: string };

export interface OrderQuery {
  readonly status?: OrderStatus;
  /** Created at or after, and before: epoch ms. */
  readonly createdFrom?: number;
  readonly createdBefore?: number;
  /** Only orders older than this one, so the pages go from the newest to the oldest. */
  readonly after?: { readonly createdAt: number; readonly id: OrderId };
  readonly limit: number;
}

export interface OrderStore {
  /** Stores each order, its event and its answer, all in one transaction; an outcome for each, in the same order. */
  place(placements: readonly Placement[]): Promise<PlacementOutcome[]>;
  /** Stores the answer to a key that named an order placed before; an answer that is there already stays. */
  saveResponse(key: IdempotencyKey, answer: StoredResponse): Promise<void>;
  /** Those of the orders that exist, in no particular order. */
  find(ids: readonly OrderId[]): Promise<Order[]>;
  /** Newest first. */
  list(query: OrderQuery): Promise<Order[]>;
}
