/** Puts announced orders into the due queue, moves the rescheduled and takes out the cancelled. */
import type { EventOf } from '../domain/events.ts';
import type { OrderId } from '../domain/order.ts';
import type { Consumer } from './consume.ts';
import type { Waiting } from './ports.ts';
import type { DueQueue } from './scheduler-ports.ts';

type ScheduleType = 'order.created' | 'order.rescheduled' | 'order.cancelled';

export interface ScheduleDeps {
  readonly queue: DueQueue;
  /** Told the earliest due time of what was added, epoch ms, so that the dispatch loop need not sleep past it. */
  readonly onScheduled: (earliest: number) => void;
}

/**
 * Consumes `raw.order-events`, where an order's creation, rescheduling and cancellation keep their order; the effect
 * on the queue precedes the commit and may be repeated without harm.
 */
export function scheduleConsumer(deps: ScheduleDeps): Consumer<ScheduleType, void> {
  return {
    name: 'scheduler-worker',
    topics: ['raw.order-events'],
    types: ['order.created', 'order.rescheduled', 'order.cancelled'],
    perform: (events) => scheduleOrders(deps, events),
  };
}

export async function scheduleOrders(
  { queue, onScheduled }: ScheduleDeps,
  events: readonly EventOf<ScheduleType>[],
): Promise<void> {
  // The last word on each order in this batch.
  const last = new Map<OrderId, number | 'cancelled'>();
  for (const event of events) {
    last.set(
      event.orderId as OrderId,
      'dueAt' in event.payload ? Date.parse(event.payload.dueAt) : 'cancelled',
    );
  }
  const waiting: Waiting[] = [];
  const cancelled: OrderId[] = [];
  for (const [orderId, word] of last) {
    if (word === 'cancelled') cancelled.push(orderId);
    else waiting.push({ orderId, dueAt: word });
  }
  await Promise.all([queue.schedule(waiting), queue.remove(cancelled)]);
  if (waiting.length > 0)
    onScheduled(waiting.reduce((earliest, { dueAt }) => Math.min(earliest, dueAt), Number.POSITIVE_INFINITY));
}
