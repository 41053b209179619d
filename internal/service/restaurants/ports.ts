/** The port of kitchen tickets. Methods with a `tx` take part in that transaction. */
import type { OrderId } from '../../domain/order.ts';
import type { Transaction } from '../ports.ts';

/** An order as a restaurant sees it. Times are epoch ms. */
export interface Ticket {
  readonly orderId: OrderId;
  readonly restaurantId: string;
  readonly state: 'OPEN' | 'ACCEPTED' | 'REJECTED' | 'CLOSED';
  readonly openedAt: number;
  readonly answeredAt?: number;
  readonly estimatedReadyAt?: number;
  readonly reason?: string;
  readonly closedAt?: number;
}

export interface Tickets {
  lock(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Ticket>>;
  save(tx: Transaction, tickets: readonly Ticket[]): Promise<void>;
  /** Open and accepted ones, oldest first. */
  listOpen(
    restaurantId: string,
    query: { limit: number; after?: { openedAt: number; orderId: OrderId } },
  ): Promise<Ticket[]>;
}
