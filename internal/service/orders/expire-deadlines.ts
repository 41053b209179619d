/** Fails or rejects orders whose deadline has passed; an order that has moved on gets the timer of its new deadline. */
import { type Deadlines, deadlineOf } from '../../domain/deadlines.ts';
import type { EventOf } from '../../domain/events.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import { type AddressedCommand, type DecideDeps, decideOrders, lockOrdersOf } from '../decide-orders.ts';
import type { Meter } from '../ports.ts';
import type { DueQueue, Waiting } from '../scheduling/ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { OrderStore } from './ports.ts';

export interface ExpireDeps extends DecideDeps {
  readonly orders: Pick<OrderStore, 'find'>;
  readonly queue: DueQueue;
  readonly deadlines: Deadlines;
  readonly meter: Meter;
}

/** Clocks are measured every few seconds, so a difference is soon over. */
const LARGEST_SKEW_MS = 60_000;
const STEP_MS = 10;

type Expiry = EventOf<'timer.deadline'>;

export function deadlineConsumer(deps: ExpireDeps): Consumer<'timer.deadline', void> {
  return {
    name: 'processing-service.deadlines',
    topics: ['timers'],
    types: ['timer.deadline'],
    // A rebuilt timer is the same event as one that ran out early, was set again, and was lost by Redis then.
    isIdempotent: true,
    perform: (events) => rescheduleEarly(deps, events),
    async apply(tx, events, _, afterCommit) {
      const orders = await lockOrdersOf(tx, events);
      const expired = events.flatMap((event): AddressedCommand[] => {
        const order = orders.get(event.orderId as OrderId);
        const deadline = order && deadlineOf(order, deps.deadlines);
        return deadline && deadline.dueAt <= deps.clock.now()
          ? [{ id: order.id, command: deadline.command }]
          : [];
      });
      const decided = await decideOrders(deps, tx, 'processing-service', orders, expired);
      afterCommit(async () => deps.meter.count('deadlines_expired', decided.changed.size));
      return decided.events;
    },
  };
}

/**
 * Sets the timers of deadlines that are still to come. Runs before the events are settled, because deadlines are not stored
 * and a lost timer would stay lost. An order that moves on afterwards gets its timer from the scheduler.
 */
async function rescheduleEarly(deps: ExpireDeps, events: readonly Expiry[]): Promise<void> {
  const found = await deps.orders.find([...new Set(events.map((event) => event.orderId as OrderId))]);
  const orders = new Map<string, Order>(found.map((order) => [order.id, order]));
  const later = events.flatMap((event): Waiting[] => {
    const order = orders.get(event.orderId);
    const deadline = order && deadlineOf(order, deps.deadlines);
    return deadline && deadline.dueAt > deps.clock.now()
      ? [{ orderId: order.id, kind: 'deadline', dueAt: againAt(deadline.dueAt, event) }]
      : [];
  });
  if (later.length > 0) await deps.queue.schedule(later);
}

/**
 * When an early timer runs out again. One that Redis fired for this deadline, by a clock a little ahead of this process's,
 * gets a later time, so that it does not come back at once, over and over. Any other due time is not ours.
 */
function againAt(dueAt: number, { payload }: Expiry): number {
  const ahead = Date.parse(payload.dueAt) - dueAt;
  return ahead >= 0 && ahead < LARGEST_SKEW_MS ? dueAt + ahead + STEP_MS : dueAt;
}
