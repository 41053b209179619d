/** Notifies customers of changes of their orders: each message once, oldest first, up to a day after the change. */
import type { EventOf } from '../../domain/events.ts';
import {
  hasEta,
  NOTIFIABLE_EVENTS,
  type NotifiableEvent,
  type Notification,
  notificationOf,
  recipientOf,
  timeOfDay,
} from '../../domain/notification.ts';
import type { OrderId } from '../../domain/order.ts';
import { lockOrdersOf } from '../decide-orders.ts';
import type { Deliveries } from '../delivery/ports.ts';
import { setTimers } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';
import { attemptAll, idsOf, type SendDeps } from './send-notifications.ts';
import { PRODUCER, RETRY, type StoreDeps, storeAttempts, timerFor } from './store-notifications.ts';

const TRIGGERS = [...NOTIFIABLE_EVENTS, 'timer.notification'] as const;
type Trigger = EventOf<(typeof TRIGGERS)[number]>;

export interface NotifyDeps extends SendDeps, StoreDeps {
  readonly deliveries: Pick<Deliveries, 'find'>;
  /** The time zone of the times of day in messages, such as Asia/Kolkata. */
  readonly timeZone: string;
}

/**
 * Sends the message of each order event; when an order's timer runs out, sends all its pending messages. A new message
 * waits while an older one of its order is pending.
 */
export function notifyConsumer(deps: NotifyDeps): Consumer<Trigger['eventType'], readonly Notification[]> {
  const toTimeOfDay = timeOfDay(deps.timeZone);
  return {
    name: `${PRODUCER}.send`,
    topics: ['raw.order-events', 'timers'],
    types: TRIGGERS,
    async perform(events) {
      const notifiable = events.filter(isNotifiable);
      const fired = idsOf(events.filter((event) => !isNotifiable(event)));
      const customers =
        notifiable.length > 0 ? await deps.notifications.customers(idsOf(notifiable)) : new Map();
      const reachable = notifiable.filter(({ orderId }) => customers.has(orderId as OrderId));
      const orderIds = [...new Set([...idsOf(reachable), ...fired])];
      if (orderIds.length === 0) return [];
      const stored = await deps.notifications.find(orderIds);
      const etas = await etasOf(deps, reachable, toTimeOfDay);
      const created = reachable.flatMap((event) => {
        const id = event.orderId as OrderId;
        const to = recipientOf(customers.get(id));
        return to ? [notificationOf(event, to, etas.get(id))] : [];
      });
      return attemptAll(deps, stored, created, new Set(fired));
    },
    apply: (tx, events, attempted, afterCommit) => {
      const fired = idsOf(events.filter((event) => !isNotifiable(event)));
      const traces = new Map(events.map(({ orderId, traceparent }) => [orderId, traceparent]));
      return storeAttempts(deps, tx, { attempted, fired, traces }, afterCommit);
    },
  };
}

/** Handles replays of dead letters only: makes the order's abandoned messages pending again, with a timer that is due now. */
export function retryConsumer(deps: NotifyDeps): Consumer<'timer.notification', void> {
  return {
    name: RETRY,
    topics: ['timers'],
    types: [],
    async apply(tx, events, _performed, afterCommit) {
      await lockOrdersOf(tx, events);
      const abandoned = (await deps.notifications.find(idsOf(events), tx)).filter(
        ({ state }) => state === 'GIVEN_UP',
      );
      await deps.notifications.save(
        tx,
        abandoned.map((notification) => ({ ...notification, state: 'PENDING' })),
      );
      await setTimers(
        deps,
        tx,
        idsOf(abandoned).map((orderId) => timerFor(orderId, deps.clock.now())),
        afterCommit,
      );
      return [];
    },
  };
}

function isNotifiable(event: Trigger): event is NotifiableEvent {
  return event.eventType !== 'timer.notification';
}

async function etasOf(
  { deliveries }: NotifyDeps,
  events: readonly NotifiableEvent[],
  toTimeOfDay: (epochMs: number) => string,
): Promise<Map<OrderId, string>> {
  const ids = idsOf(events.filter(hasEta));
  const found = ids.length > 0 ? await deliveries.find(ids) : [];
  return new Map(
    [...found].flatMap(([id, { eta }]) => (eta ? [[id, toTimeOfDay(eta.median)] as const] : [])),
  );
}
