/** Adds orders and deadlines to the due queue when their events arrive, and removes those of orders that have ended. */
import type { Deadlines } from '../../domain/deadlines.ts';
import type { EventOf, EventType } from '../../domain/events.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { DueQueue, Waiting } from './ports.ts';

/**
 * The shortest deadline that an order may have in a status, by the event of that status. PREPARING is absent, since its
 * deadline counts from ACCEPTED and stays as it is.
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
  /** Called with the earliest due time of the added members, epoch ms, so that the dispatch loop does not sleep past it. */
  readonly onScheduled: (earliest: number) => void;
}

/**
 * Reads one topic, on which creation, rescheduling and cancellation of an order keep their order. A deadline is set to the
 * shortest that the status may have; its consumer looks at the order, and sets it again if it is not due yet.
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

/** Applies the last event of each order to the queue. */
export async function scheduleOrders(
  { queue, deadlines, onScheduled }: ScheduleDeps,
  events: readonly EventOf<ScheduleType>[],
): Promise<void> {
  const last = new Map<OrderId, EventOf<ScheduleType>>();
  for (const event of events) last.set(event.orderId as OrderId, event);
  const waiting: Waiting[] = [];
  const ended: OrderId[] = [];
  /** Orders that may have ended before their due time. */
  const undispatched: OrderId[] = [];
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
      if (eventType === 'order.cancelled' || eventType === 'order.failed') undispatched.push(orderId);
    }
  }
  await Promise.all([queue.schedule(waiting), queue.remove(undispatched), queue.remove(ended, 'deadline')]);
  if (waiting.length > 0)
    onScheduled(waiting.reduce((earliest, { dueAt }) => Math.min(earliest, dueAt), Number.POSITIVE_INFINITY));
}

function isWait(type: ScheduleType): type is keyof typeof WAITS {
  return Object.hasOwn(WAITS, type);
}
