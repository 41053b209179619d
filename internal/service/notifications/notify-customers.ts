/** Notifies customers of changes of their orders: each message once, oldest first, up to a day after the change. */
import type { EventOf } from '../../domain/events.ts';
import {
  hasEta,
  NOTIFIABLE_EVENTS,
  type NotifiableEvent,
  notificationKey,
  notificationOf,
  recipientOf,
  timeOfDay,
} from '../../domain/notification.ts';
import type { OrderId } from '../../domain/order.ts';
import { lockOrdersOf } from '../decide-orders.ts';
import type { Deliveries } from '../delivery/ports.ts';
import type { Transactions } from '../ports.ts';
import { setTimers } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';
import { attemptAll, idsOf, type SendDeps, type Taken } from './send-notifications.ts';
import {
  type Attempts,
  PRODUCER,
  RETRY,
  type StoreDeps,
  storeAttempts,
  timerFor,
} from './store-notifications.ts';

/** Small, so that what the provider has taken is soon recorded: a process that dies repeats no more than these. */
const BATCH = 100;

const TRIGGERS = [...NOTIFIABLE_EVENTS, 'timer.notification'] as const;
type Trigger = EventOf<(typeof TRIGGERS)[number]>;

export interface NotifyDeps extends SendDeps, StoreDeps {
  readonly transactions: Transactions;
  readonly deliveries: Pick<Deliveries, 'find'>;
  /** The time zone of the times of day in messages, such as Asia/Kolkata. */
  readonly timeZone: string;
}

/**
 * Sends the message of each order event; when an order's timer runs out, sends all its pending messages. A new message
 * waits while an older one of its order is pending. What became of them is stored at once, in a transaction of its own, so
 * that a batch which fails for another reason sends nothing again.
 */
export function notifyConsumer(deps: NotifyDeps): Consumer<Trigger['eventType'], void> {
  const toTimeOfDay = timeOfDay(deps.timeZone);
  const taken: Taken = new Map();
  return {
    name: `${PRODUCER}.send`,
    topics: ['raw.order-events', 'timers'],
    types: TRIGGERS,
    batchSize: BATCH,
    isIdempotent: true,
    async perform(events) {
      const notifiable = events.filter(isNotifiable);
      const fired = idsOf(events.filter((event) => !isNotifiable(event)));
      const customers =
        notifiable.length > 0 ? await deps.notifications.customers(idsOf(notifiable)) : new Map();
      const reachable = notifiable.filter(({ orderId }) => customers.has(orderId as OrderId));
      const orderIds = [...new Set([...idsOf(reachable), ...fired])];
      if (orderIds.length === 0) return;
      const stored = await deps.notifications.find(orderIds);
      const etas = await etasOf(deps, reachable, toTimeOfDay);
      const created = reachable.flatMap((event) => {
        const id = event.orderId as OrderId;
        const to = recipientOf(customers.get(id));
        return to ? [notificationOf(event, to, etas.get(id))] : [];
      });
      const attempted = await attemptAll(deps, taken, stored, created, new Set(fired));
      const traces = new Map(events.map(({ orderId, traceparent }) => [orderId, traceparent]));
      await record(deps, { attempted, fired, traces });
      for (const message of attempted) taken.delete(notificationKey(message));
    },
  };
}

async function record(deps: NotifyDeps, attempts: Attempts): Promise<void> {
  let afterwards: (() => Promise<void>)[] = [];
  await deps.transactions.run(async (tx) => {
    afterwards = [];
    await tx.appendEvents(await storeAttempts(deps, tx, attempts, (work) => afterwards.push(work)));
  });
  for (const work of afterwards)
    await work().catch((error) => deps.log.warn({ err: error }, 'work after storing messages failed'));
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
