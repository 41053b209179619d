/** Fails or rejects orders whose deadline has passed; an order that has moved on gets the timer of its new deadline. */
import { type Deadlines, deadlineOf } from '../../domain/deadlines.ts';
import type { EventOf } from '../../domain/events.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import { type AddressedCommand, type DecideDeps, decideOrders, lockOrdersOf } from '../decide-orders.ts';
import type { DueQueue, Waiting } from '../scheduling/ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { OrderStore } from './ports.ts';

export interface ExpireDeps extends DecideDeps {
  readonly orders: Pick<OrderStore, 'find'>;
  readonly queue: DueQueue;
  readonly deadlines: Deadlines;
}

type Expiry = EventOf<'timer.deadline'>;

export function deadlineConsumer(deps: ExpireDeps): Consumer<'timer.deadline', void> {
  return {
    name: 'processing-service.deadlines',
    topics: ['timers'],
    types: ['timer.deadline'],
    perform: (events) => rescheduleEarly(deps, events),
    async apply(tx, events) {
      const orders = await lockOrdersOf(tx, events);
      const expired = events.flatMap((event): AddressedCommand[] => {
        const order = orders.get(event.orderId as OrderId);
        const deadline = order && deadlineOf(order, deps.deadlines);
        return deadline && deadline.dueAt <= timeOf(deps, event)
          ? [{ id: order.id, command: deadline.command }]
          : [];
      });
      return (await decideOrders(deps, tx, 'processing-service', orders, expired)).events;
    },
  };
}

/**
 * Sets the timers of deadlines that are still to come. Runs before the events are marked as processed, because deadlines
 * are not stored and a lost timer would stay lost. An order that moves on afterwards gets its timer from the scheduler.
 */
async function rescheduleEarly(deps: ExpireDeps, events: readonly Expiry[]): Promise<void> {
  const found = await deps.orders.find([...new Set(events.map((event) => event.orderId as OrderId))]);
  const orders = new Map<string, Order>(found.map((order) => [order.id, order]));
  const later = events.flatMap((event): Waiting[] => {
    const order = orders.get(event.orderId);
    const deadline = order && deadlineOf(order, deps.deadlines);
    return deadline && deadline.dueAt > timeOf(deps, event)
      ? [{ orderId: order.id, kind: 'deadline', dueAt: deadline.dueAt }]
      : [];
  });
  if (later.length > 0) await deps.queue.schedule(later);
}

/**
 * The later of this process's clock and the timer's due time, because Redis fired the timer by its own clock, which may be
 * ahead. A timer that is set again is thus always later than the one that ran out, and gives another event.
 */
function timeOf({ clock }: ExpireDeps, { payload }: Expiry): number {
  return Math.max(clock.now(), Date.parse(payload.dueAt));
}
