/** Ends the waiting of orders whose deadline has come: what waited for nothing more, or moved on meanwhile, is left alone. */
import { type Deadlines, deadlineOf } from '../../domain/deadlines.ts';
import type { EventOf } from '../../domain/events.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import { type DecideDeps, decideOrders, lockOrdersOf, type Wanted } from '../decide-orders.ts';
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
    perform: (events) => putBack(deps, events),
    async apply(tx, events) {
      const orders = await lockOrdersOf(tx, events);
      const expired = events.flatMap((event): Wanted[] => {
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
 * Done before the events are taken for handled: a deadline is stored nowhere, so nobody would add one that was lost. What
 * moves on after this look has its new deadline from the scheduler.
 */
async function putBack(deps: ExpireDeps, events: readonly Expiry[]): Promise<void> {
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
 * Redis's clock has said that the event's time has come, and this process's may be behind it. A deadline that is put back
 * is therefore later than the one that came, and so another event.
 */
function timeOf({ clock }: ExpireDeps, { payload }: Expiry): number {
  return Math.max(clock.now(), Date.parse(payload.dueAt));
}
