/** Tells customers what becomes of their orders: each message once, oldest first, for as long as it is news. */
import pMap from 'p-map';
import { fact } from '../../domain/announce.ts';
import type { Event, EventOf } from '../../domain/events.ts';
import {
  afterAttempt,
  hasEta,
  isOutdated,
  NOTIFIABLE_EVENTS,
  type NotifiableEvent,
  type Notification,
  notificationKey,
  notificationOf,
  recipientOf,
  retryDelayMs,
  type SendOutcome,
  timeOfDay,
} from '../../domain/notification.ts';
import type { OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import { lockOrdersOf } from '../decide-orders.ts';
import type { Deliveries } from '../delivery/ports.ts';
import type { Clock, Log, Meter, NewDeadLetter, Transaction } from '../ports.ts';
import type { Timer } from '../scheduling/ports.ts';
import { setTimers, type TimerDeps } from '../scheduling/set-timers.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { NotificationProvider, Notifications } from './ports.ts';

const PRODUCER = 'notification-service';
const TRIGGERS = [...NOTIFIABLE_EVENTS, 'timer.notification'] as const;
type Trigger = EventOf<(typeof TRIGGERS)[number]>;

/** Orders whose messages are sent at a time. */
const CONCURRENCY = 16;
/** A letter is buried under a consumer of its own: nothing else comes to that one, so nothing is parked behind the letter. */
const RETRY = `${PRODUCER}.retry`;

export interface NotifyDeps extends TimerDeps {
  readonly notifications: Notifications;
  readonly deliveries: Pick<Deliveries, 'find'>;
  readonly provider: NotificationProvider;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly newEventId: () => string;
  readonly eventIdFor: (name: string) => string;
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
      const told = events.filter(isTelling);
      const fired = idsOf(events.filter((event) => !isTelling(event)));
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
    apply: (tx, events, attempted, afterCommit) => store(deps, tx, events, attempted, afterCommit),
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

function isTelling(event: Trigger): event is NotifiableEvent {
  return event.eventType !== 'timer.notification';
}

function idsOf(about: readonly { readonly orderId: string }[]): OrderId[] {
  return [...new Set(about.map(({ orderId }) => orderId as OrderId))];
}

function timerFor(orderId: OrderId, dueAt: number): Timer {
  return { kind: 'notification', orderId, dueAt };
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

/** What is to be stored: every message that was tried, and the new ones that are not to overtake one that waits. */
async function attemptAll(
  deps: NotifyDeps,
  known: readonly Notification[],
  fresh: readonly Notification[],
  fired: ReadonlySet<OrderId>,
): Promise<Notification[]> {
  const now = deps.clock.now();
  const keys = new Set(known.map(notificationKey));
  const news = fresh.filter((message) => {
    const key = notificationKey(message);
    const isNew = !keys.has(key) && !isOutdated(message.createdAt, now);
    keys.add(key);
    return isNew;
  });
  const waiting = known.filter(({ state }) => state === 'PENDING');
  const held = new Set(idsOf(waiting).filter((id) => !fired.has(id)));
  const queues = new Map<OrderId, Notification[]>();
  for (const message of [...waiting, ...news].sort((a, b) => a.createdAt - b.createdAt)) {
    const { orderId } = message;
    if (!held.has(orderId)) queues.set(orderId, [...(queues.get(orderId) ?? []), message]);
  }
  const behind = news.filter(({ orderId }) => held.has(orderId));
  return [...(await sendAll(deps, [...queues.values()])), ...behind];
}

/** Each queue from its head until a message of it is to be tried later; all of them rest once the provider is away. */
async function sendAll(
  { provider, clock, log }: NotifyDeps,
  queues: readonly (readonly Notification[])[],
): Promise<Notification[]> {
  const results: Notification[] = [];
  let away: Exclude<SendOutcome, { outcome: 'sent' }> | undefined;
  const attempt = async (message: Notification): Promise<Notification> => {
    const result = away ?? (await provider.send(message, notificationKey(message)));
    if (result.outcome === 'away') away = result;
    return afterAttempt(message, result, clock.now());
  };
  const sendQueue = async (queue: readonly Notification[]) => {
    let isHeld = false;
    for (const message of queue) {
      const next: Notification = isHeld ? message : await attempt(message);
      isHeld ||= next.state === 'PENDING';
      results.push(next);
    }
  };
  await pMap(queues, sendQueue, { concurrency: CONCURRENCY });
  if (away) {
    const left = results.filter(({ state }) => state === 'PENDING').length;
    log.warn({ messages: left, fault: away.error }, 'messages to customers wait for their provider');
  }
  return results;
}

/** Under the locks of the orders, so that another process at the same orders is seen, and a timer stands for all that waits. */
async function store(
  deps: NotifyDeps,
  tx: Transaction,
  events: readonly Trigger[],
  attempted: readonly Notification[],
  afterCommit: (work: () => Promise<void>) => void,
): Promise<Event[]> {
  const fired = idsOf(events.filter((event) => !isTelling(event)));
  const ids = [...new Set([...idsOf(attempted), ...fired])];
  if (ids.length === 0) return [];
  await lockOrdersOf(
    tx,
    [...ids].map((orderId) => ({ orderId })),
  );
  const stored = new Map((await deps.notifications.find(ids, tx)).map((m) => [notificationKey(m), m]));
  const changed = attempted.filter((message) => {
    const state = stored.get(notificationKey(message))?.state;
    return state === undefined || state === 'PENDING';
  });
  await deps.notifications.save(tx, changed);
  for (const message of changed) stored.set(notificationKey(message), message);
  await keepTimers(deps, tx, ids, fired, [...stored.values()], afterCommit);
  await buryGivenUp(deps, tx, changed, afterCommit);
  const traces = new Map(events.map(({ orderId, traceparent }) => [orderId, traceparent]));
  return changed
    .filter(({ state }) => state === 'SENT')
    .map(({ orderId, template, to, sentAt = 0 }) => {
      const about = { eventId: deps.newEventId(), at: sentAt, producer: PRODUCER };
      const payload = { template, to, sentAt: toRfc3339(sentAt) };
      return fact('notification.sent', orderId, payload, { ...about, traceparent: traces.get(orderId) });
    });
}

async function keepTimers(
  deps: NotifyDeps,
  tx: Transaction,
  ids: readonly OrderId[],
  fired: readonly OrderId[],
  messages: readonly Notification[],
  afterCommit: (work: () => Promise<void>) => void,
): Promise<void> {
  const now = deps.clock.now();
  const heads = new Map<OrderId, Notification>();
  for (const message of messages) {
    const head = heads.get(message.orderId);
    if (message.state === 'PENDING' && !(head && head.createdAt <= message.createdAt))
      heads.set(message.orderId, message);
  }
  const timers = ids.flatMap((id) => {
    const head = heads.get(id);
    return head ? [timerFor(id, now + retryDelayMs(head.attempts))] : [];
  });
  await setTimers(deps, tx, timers, afterCommit);
  const done = fired.filter((id) => !heads.has(id));
  if (done.length > 0)
    await deps.timers.clear(
      tx,
      done.map((orderId) => ({ kind: 'notification', orderId })),
    );
}

async function buryGivenUp(
  { clock, log, meter, eventIdFor }: NotifyDeps,
  tx: Transaction,
  changed: readonly Notification[],
  afterCommit: (work: () => Promise<void>) => void,
): Promise<void> {
  const now = clock.now();
  const letters = changed
    .filter(({ state }) => state === 'GIVEN_UP')
    .map((message): NewDeadLetter => {
      const { orderId, template, attempts, error } = message;
      const eventId = eventIdFor(`notification ${notificationKey(message)}`);
      const about = { eventId, at: now, producer: PRODUCER };
      const record = fact('timer.notification', orderId, { dueAt: toRfc3339(now) }, about);
      const fault = `${template}: ${error}`;
      return {
        consumer: RETRY,
        eventId,
        orderId,
        topic: 'timers',
        record,
        error: fault,
        retryCount: attempts,
      };
    });
  if (letters.length === 0) return;
  await tx.deadLetters.add(letters);
  afterCommit(async () => {
    meter.count('dead_letters', letters.length, { consumer: RETRY });
    for (const { orderId, error } of letters)
      log.warn({ consumer: RETRY, order: orderId, fault: error }, 'a message to a customer was given up');
  });
}
