/** Lists orders in memory as the order store does: newest first, in keyset pages. */
import type { Order } from '../../internal/domain/order.ts';
import type { OrderQuery } from '../../internal/service/orders/ports.ts';

export function pageOf(orders: readonly Order[], query: OrderQuery): Order[] {
  const { status, createdFrom = 0, createdBefore = Number.POSITIVE_INFINITY, after, limit } = query;
  return orders
    .filter((order) => status === undefined || order.status === status)
    .filter(({ createdAt }) => createdAt >= createdFrom && createdAt < createdBefore)
    .filter((order) => !after || newestFirst(order, after) > 0)
    .sort(newestFirst)
    .slice(0, limit);
}

function newestFirst(a: Pick<Order, 'createdAt' | 'id'>, b: Pick<Order, 'createdAt' | 'id'>): number {
  return b.createdAt - a.createdAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}
