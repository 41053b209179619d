/** Tells customers what becomes of their orders: each message once, oldest first, for as long as it is news. */
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
  /** Of the times of day in messages, such as Asia/Kolkata. */
  readonly timeZone: string;
}

/**
 * Sends what an order's change causes, and when the order's timer runs out all that is still to be sent. While an older
 * message of the order waits, a new one waits behind it.
 */
export function notifyConsumer(deps: NotifyDeps): Consumer<Trigger['eventType'], readonly Notification[]> {
  const toTimeOfDay = timeOfDay(deps.timeZone);
  return {
    name: `${PRODUCER}.send`,
    topics: ['raw.order-events', 'timers'],
    types: TRIGGERS,
    async perform(events) {
      const told = events.filter(isNotifiable);
      const fired = idsOf(events.filter((event) => !isNotifiable(event)));
      const customers = told.length > 0 ? await deps.notifications.customers(idsOf(told)) : new Map();
      const toTell = told.filter(({ orderId }) => customers.has(orderId as OrderId));
      const about = [...new Set([...idsOf(toTell), ...fired])];
      if (about.length === 0) return [];
      const known = await deps.notifications.find(about);
      const etas = await etasOf(deps, toTell, toTimeOfDay);
      const fresh = toTell.flatMap((event) => {
        const id = event.orderId as OrderId;
        const to = recipientOf(customers.get(id));
        return to ? [notificationOf(event, to, etas.get(id))] : [];
      });
      return attemptAll(deps, known, fresh, new Set(fired));
    },
    apply: (tx, events, attempted, afterCommit) => {
      const fired = idsOf(events.filter((event) => !isNotifiable(event)));
      const traces = new Map(events.map(({ orderId, traceparent }) => [orderId, traceparent]));
      return storeAttempts(deps, tx, { attempted, fired, traces }, afterCommit);
    },
  };
}

/** For the replay of letters alone: what an order's customer was not told is to be tried once more. */
export function retryConsumer(deps: NotifyDeps): Consumer<'timer.notification', void> {
  return {
    name: RETRY,
    topics: ['timers'],
    types: [],
    async apply(tx, events, _performed, afterCommit) {
      await lockOrdersOf(tx, events);
      const given = (await deps.notifications.find(idsOf(events), tx)).filter(
        ({ state }) => state === 'GIVEN_UP',
      );
      await deps.notifications.save(
        tx,
        given.map((notification) => ({ ...notification, state: 'PENDING' })),
      );
      await setTimers(
        deps,
        tx,
        idsOf(given).map((orderId) => timerFor(orderId, deps.clock.now())),
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
