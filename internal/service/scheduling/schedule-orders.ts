/** Puts announced orders into the due queue, with the deadline of the state each has reached, and takes out what has ended. */
import type { Deadlines } from '../../domain/deadlines.ts';
import type { EventOf, EventType } from '../../domain/events.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { DueQueue, Waiting } from './ports.ts';

/**
 * A status in which an order may wait, and for how long at least, by the event that announces it. What is PREPARING waits
 * on from when it was ACCEPTED, so its deadline stays where it is.
 */
const WAITS = {
  'order.processing': (deadlines) => deadlines.processing,
  'order.confirmed': (deadlines) => Math.min(deadlines.acceptance, deadlines.rider),
  'order.accepted': (deadlines) => Math.min(deadlines.rider, deadlines.collection),
  'order.rider_assigned': (deadlines) => deadlines.pickUp,
  'order.out_for_delivery': (deadlines) => deadlines.delivery,
} as const satisfies Partial<Record<EventType, (deadlines: Deadlines) => number>>;

const ENDS = [
  'order.completed',
  'order.delivered',
  'order.failed',
  'order.rejected',
  'order.cancelled',
] as const;
const TYPES = [
  'order.created',
  'order.rescheduled',
  ...(Object.keys(WAITS) as (keyof typeof WAITS)[]),
  ...ENDS,
] as const;
type ScheduleType = (typeof TYPES)[number];

export interface ScheduleDeps {
  readonly queue: DueQueue;
  readonly deadlines: Deadlines;
  /** Told the earliest due time of what was added, epoch ms, so that the dispatch loop need not sleep past it. */
  readonly onScheduled: (earliest: number) => void;
}

/**
 * Consumes `raw.order-events`, where an order's creation, rescheduling and cancellation keep their order; the effect on
 * the queue may be repeated without harm. A deadline is set for the soonest that its state may have; whoever takes it up
 * looks at the order, and puts back what is not due yet.
 */
export function scheduleConsumer(deps: ScheduleDeps): Consumer<ScheduleType, void> {
  return {
    name: 'scheduler-worker',
    topics: ['raw.order-events'],
    types: TYPES,
    isIdempotent: true,
    perform: (events) => scheduleOrders(deps, events),
  };
}

export async function scheduleOrders(
  { queue, deadlines, onScheduled }: ScheduleDeps,
  events: readonly EventOf<ScheduleType>[],
): Promise<void> {
  // The last word on each order in this batch.
  const last = new Map<OrderId, EventOf<ScheduleType>>();
  for (const event of events) last.set(event.orderId as OrderId, event);
  const waiting: Waiting[] = [];
  const ended: OrderId[] = [];
  /** Those that may have ended before their time came. */
  const early: OrderId[] = [];
  for (const [orderId, { eventType, payload, occurredAt }] of last) {
    if ('dueAt' in payload) waiting.push({ orderId, dueAt: Date.parse(payload.dueAt) });
    else if (isWait(eventType))
      waiting.push({
        orderId,
        kind: 'deadline',
        dueAt: Date.parse(occurredAt) + WAITS[eventType](deadlines),
      });
    else {
      ended.push(orderId);
      if (eventType === 'order.cancelled' || eventType === 'order.failed') early.push(orderId);
    }
  }
  await Promise.all([queue.schedule(waiting), queue.remove(early), queue.remove(ended, 'deadline')]);
  if (waiting.length > 0)
    onScheduled(waiting.reduce((earliest, { dueAt }) => Math.min(earliest, dueAt), Number.POSITIVE_INFINITY));
}

function isWait(type: ScheduleType): type is keyof typeof WAITS {
  return Object.hasOwn(WAITS, type);
}
