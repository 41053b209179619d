/** Deadlines: how long an order may stay in each state, and the command that follows. */
import { isDelivered, type Order, type OrderStatus } from './order.ts';
import type { OrderCommand } from './order-decisions.ts';

/** The longest wait for each step, milliseconds. */
export interface Deadlines {
  /** For stock and payment, or for the order logic. */
  readonly processing: number;
  /** For the restaurant's answer. */
  readonly acceptance: number;
  /** For a rider, from the start of the search. */
  readonly rider: number;
  readonly pickUp: number;
  readonly delivery: number;
  /** For the customer to collect the order, from its acceptance. */
  readonly collection: number;
}

export interface Deadline {
  /** Epoch ms. */
  readonly dueAt: number;
  readonly command: OrderCommand;
}

/** Undefined for an order that waits for its scheduled time or has ended. */
export function deadlineOf(order: Order, deadlines: Deadlines): Deadline | undefined {
  const fail = (since: OrderStatus, after: number, reason: string): Deadline => ({
    dueAt: reachedAt(order, since) + after,
    command: { type: 'fail', reason },
  });
  switch (order.status) {
    case 'PROCESSING':
      return fail('PROCESSING', deadlines.processing, 'TIMED_OUT');
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

/** When the order reached a status, epoch ms; the time of the last change if it skipped that status. */
export function reachedAt(order: Order, status: OrderStatus): number {
  const entry = order.timeline.find((candidate) => 'status' in candidate && candidate.status === status);
  return entry?.at ?? order.updatedAt;
}
