/** Stores attempted messages, with timers for the pending and dead letters for the abandoned ones. */
import { fact } from '../../domain/announce.ts';
import type { Event } from '../../domain/events.ts';
import { type Notification, notificationKey, retryDelayMs } from '../../domain/notification.ts';
import type { OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import type { Clock, Log, Meter, NewDeadLetter, Transaction } from '../ports.ts';
import type { Timer } from '../scheduling/ports.ts';
import { setTimers, type TimerDeps } from '../scheduling/set-timers.ts';
import type { Notifications } from './ports.ts';
import { idsOf } from './send-notifications.ts';

export const PRODUCER = 'notification-service';
/** The consumer of the dead letters. It reads no other events, so none is parked behind a dead letter. */
export const RETRY = `${PRODUCER}.retry`;

export interface StoreDeps extends TimerDeps {
  readonly notifications: Notifications;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly newEventId: () => string;
  readonly eventIdFor: (name: string) => string;
}

export interface Attempts {
  readonly attempted: readonly Notification[];
  /** Orders whose timer has run out. */
  readonly fired: readonly OrderId[];
  /** The traceparent of the event by order id. */
  readonly traces: ReadonlyMap<string, string | undefined>;
}

/**
 * Stores the attempted messages under the locks of their orders, so that a message which a concurrent process has sent
 * stays SENT, and each order with pending messages has a timer. Returns the notification.sent events.
 */
export async function storeAttempts(
  deps: StoreDeps,
  tx: Transaction,
  { attempted, fired, traces }: Attempts,
  afterCommit: (work: () => Promise<void>) => void,
): Promise<Event[]> {
  const ids = [...new Set([...idsOf(attempted), ...fired])];
  if (ids.length === 0) return [];
  await tx.lockOrders(ids);
  const stored = new Map((await deps.notifications.find(ids, tx)).map((m) => [notificationKey(m), m]));
  const changed = attempted.filter((message) => {
    const state = stored.get(notificationKey(message))?.state;
    return state === undefined || state === 'PENDING';
  });
  await deps.notifications.save(tx, changed);
  for (const message of changed) stored.set(notificationKey(message), message);
  await updateTimers(deps, tx, ids, fired, [...stored.values()], afterCommit);
  await addDeadLetters(deps, tx, changed, afterCommit);
  return changed
    .filter(({ state }) => state === 'SENT')
    .map(({ orderId, template, to, sentAt = 0 }) => {
      const payload = { template, to, sentAt: toRfc3339(sentAt) };
      return fact('notification.sent', orderId, payload, {
        eventId: deps.newEventId(),
        at: sentAt,
        producer: PRODUCER,
        traceparent: traces.get(orderId),
      });
    });
}

/** Sets the timer of each order by the attempts at its oldest pending message; clears the fired timers of the others. */
async function updateTimers(
  deps: StoreDeps,
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

/** Adds a dead letter for each abandoned message. */
async function addDeadLetters(
  { clock, log, meter, eventIdFor }: StoreDeps,
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
      const origin = { eventId, at: now, producer: PRODUCER };
      const record = fact('timer.notification', orderId, { dueAt: toRfc3339(now) }, origin);
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
      log.warn({ consumer: RETRY, order: orderId, fault: error }, 'a message to a customer was abandoned');
  });
}

export function timerFor(orderId: OrderId, dueAt: number): Timer {
  return { kind: 'notification', orderId, dueAt };
}
