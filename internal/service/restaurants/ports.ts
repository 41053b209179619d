/** The port of restaurants' tickets. A method with a `tx` runs in that transaction. */
import type { OrderId } from '../../domain/order.ts';
import type { Transaction } from '../ports.ts';

/** A restaurant's view of an order, and its answer. Times are epoch ms. */
export interface Ticket {
  readonly orderId: OrderId;
  readonly restaurantId: string;
  readonly state: 'OPEN' | 'ACCEPTED' | 'REJECTED' | 'CLOSED';
  readonly openedAt: number;
  readonly answeredAt?: number;
  readonly estimatedReadyAt?: number;
  /** When the restaurant reported that the food is ready. */
  readonly readyAt?: number;
  /** Why the restaurant rejected the order. */
  readonly reason?: string;
  readonly closedAt?: number;
}

export interface Tickets {
  /** Reads and locks tickets; orders without one are absent from the result. */
  lock(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Ticket>>;
  /** Stores new tickets, and changes of locked ones. */
  save(tx: Transaction, tickets: readonly Ticket[]): Promise<void>;
  /** Up to `limit` open and accepted tickets, oldest first, after the ticket `after` (keyset pagination). */
  listOpen(
    restaurantId: string,
    query: { limit: number; after?: { openedAt: number; orderId: OrderId } },
  ): Promise<Ticket[]>;
}
