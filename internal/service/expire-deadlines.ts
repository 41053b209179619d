/** Ends the waiting of orders whose deadline has come: what waited for nothing more, or moved on meanwhile, is left alone. */
import { type Deadlines, deadlineOf } from '../domain/deadlines.ts';
import type { OrderId } from '../domain/order.ts';
import type { Consumer } from './consume.ts';
import { type DecideDeps, decideOrders, lockOrdersOf, type Wanted } from './decide-orders.ts';
import type { Waiting } from './ports.ts';
import type { DueQueue } from './scheduler-ports.ts';

export interface ExpireDeps extends DecideDeps {
  readonly queue: DueQueue;
  readonly deadlines: Deadlines;
}

export function deadlineConsumer(deps: ExpireDeps): Consumer<'timer.deadline', void> {
  return {
    name: 'processing-service.deadlines',
    topics: ['timers'],
    types: ['timer.deadline'],
    async apply(tx, events, _performed, afterCommit) {
      const orders = await lockOrdersOf(tx, events);
      const now = deps.clock.now();
      const expired: Wanted[] = [];
      const later: Waiting[] = [];
      for (const [id, order] of orders) {
        const deadline = deadlineOf(order, deps.deadlines);
        if (!deadline) continue;
        if (deadline.dueAt <= now) expired.push({ id, command: deadline.command });
        else later.push({ orderId: id as OrderId, kind: 'deadline', dueAt: deadline.dueAt });
      }
      if (later.length > 0) afterCommit(async () => void (await deps.queue.schedule(later)));
      return (await decideOrders(deps, tx, 'processing-service', orders, expired)).events;
    },
  };
}
