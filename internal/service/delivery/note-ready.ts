/** Notes in deliveries that the food is ready, and has the ETA of those with a rider refreshed at once. */
import { hasEnded, isUnderWay } from '../../domain/delivery.ts';
import type { OrderId } from '../../domain/order.ts';
import { lockOrdersOf } from '../decide-orders.ts';
import type { Clock } from '../ports.ts';
import { setTimers, type TimerDeps } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { Deliveries } from './ports.ts';
import { PRODUCER } from './refresh-eta.ts';

export interface ReadyDeps extends TimerDeps {
  readonly clock: Clock;
  readonly deliveries: Deliveries;
}

export function readyConsumer(deps: ReadyDeps): Consumer<'restaurant.ready', void> {
  return {
    name: `${PRODUCER}.ready`,
    topics: ['raw.order-events'],
    types: ['restaurant.ready'],
    async apply(tx, events, _performed, afterCommit) {
      const orders = await lockOrdersOf(tx, events);
      const deliveries = await deps.deliveries.lock(tx, [...orders.keys()]);
      const changed = events.flatMap(({ orderId, payload }) => {
        const delivery = deliveries.get(orderId as OrderId);
        return delivery && !hasEnded(delivery) ? [{ ...delivery, readyAt: Date.parse(payload.readyAt) }] : [];
      });
      await deps.deliveries.save(tx, changed);
      const dueAt = deps.clock.now();
      const timers = changed
        .filter(isUnderWay)
        .map(({ orderId }) => ({ kind: 'eta' as const, orderId, dueAt }));
      await setTimers(deps, tx, timers, afterCommit);
      return [];
    },
  };
}
