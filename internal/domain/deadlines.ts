/** How long an order may wait in each state, and what becomes of it then. */
import { isDelivered, type Order, type OrderStatus } from './order.ts';
import type { OrderCommand } from './order-decisions.ts';

/** Milliseconds. */
export interface Deadlines {
  /** For stock and payment. */
  readonly processing: number;
  /** For the restaurant's answer. */
  readonly acceptance: number;
  /** For a rider, from the moment one is looked for. */
  readonly rider: number;
  readonly pickUp: number;
  readonly delivery: number;
  /** At the restaurant, for whoever fetches it. */
  readonly collection: number;
}

export interface Deadline {
  /** Epoch ms. */
  readonly dueAt: number;
  readonly command: OrderCommand;
}

/** Undefined where the order waits for nothing but its time, or has come to its end. */
export function deadlineOf(order: Order, deadlines: Deadlines): Deadline | undefined {
  const fail = (since: OrderStatus, after: number, reason: string): Deadline => ({
    dueAt: reachedAt(order, since) + after,
    command: { type: 'fail', reason },
  });
  switch (order.status) {
    case 'PROCESSING':
      return order.items.length > 0 ? fail('PROCESSING', deadlines.processing, 'TIMED_OUT') : undefined;
    case 'CONFIRMED':
      if (order.restaurantId) {
        const dueAt = reachedAt(order, 'CONFIRMED') + deadlines.acceptance;
        return { dueAt, command: { type: 'reject', reason: 'NO_RESPONSE' } };
      }
      return isDelivered(order) ? fail('CONFIRMED', deadlines.rider, 'NO_RIDER') : undefined;
    case 'ACCEPTED':
    case 'PREPARING':
      return isDelivered(order)
        ? fail('ACCEPTED', deadlines.rider, 'NO_RIDER')
        : fail('ACCEPTED', deadlines.collection, 'NOT_COLLECTED');
    case 'RIDER_ASSIGNED':
      return fail('RIDER_ASSIGNED', deadlines.pickUp, 'NOT_PICKED_UP');
    case 'OUT_FOR_DELIVERY':
      return fail('OUT_FOR_DELIVERY', deadlines.delivery, 'NOT_DELIVERED');
    default:
      return undefined;
  }
}

/** When the order reached a status, epoch ms; what was passed over is taken for reached with the last change. */
export function reachedAt(order: Order, status: OrderStatus): number {
  const entry = order.timeline.find((candidate) => 'status' in candidate && candidate.status === status);
  return entry?.at ?? order.updatedAt;
}
