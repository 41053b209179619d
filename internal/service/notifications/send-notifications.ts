/** Sends messages to the provider, oldest first for each order, and holds back those behind a pending message. */
import pMap from 'p-map';
import {
  afterAttempt,
  isOutdated,
  type Notification,
  notificationKey,
  type SendOutcome,
} from '../../domain/notification.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Clock, Log } from '../ports.ts';
import type { NotificationProvider } from './ports.ts';

/** The largest number of orders whose messages are sent at a time. */
const CONCURRENCY = 16;

/**
 * When the provider took messages that are not stored as sent yet, by key, epoch ms: while Postgres cannot store them, their
 * batch comes again and they are not sent again.
 */
export type Taken = Map<string, number>;
/** A batch that another process has got meanwhile leaves its entries behind. */
const MOST_TAKEN = 10_000;

export interface SendDeps {
  readonly provider: NotificationProvider;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Attempts the pending messages of orders whose timer has `fired`, and `created` messages that do not wait behind a pending
 * one. Returns the messages to store: all attempted ones, and the created ones that wait.
 */
export async function attemptAll(
  deps: SendDeps,
  taken: Taken,
  stored: readonly Notification[],
  created: readonly Notification[],
  fired: ReadonlySet<OrderId>,
): Promise<Notification[]> {
  const now = deps.clock.now();
  const keys = new Set(stored.map(notificationKey));
  const added = created.filter((message) => {
    const key = notificationKey(message);
    const isNew = !keys.has(key) && !isOutdated(message.createdAt, now);
    keys.add(key);
    return isNew;
  });
  const pending = stored.filter(({ state }) => state === 'PENDING');
  const held = new Set(idsOf(pending).filter((id) => !fired.has(id)));
  const queues = new Map<OrderId, Notification[]>();
  for (const message of [...pending, ...added].sort((a, b) => a.createdAt - b.createdAt)) {
    const { orderId } = message;
    if (!held.has(orderId)) queues.set(orderId, [...(queues.get(orderId) ?? []), message]);
  }
  const waiting = added.filter(({ orderId }) => held.has(orderId));
  return [...(await sendAll(deps, taken, [...queues.values()])), ...waiting];
}

/** Sends each queue up to the first message that stays pending. Once the provider is unavailable, no further message is sent. */
async function sendAll(
  { provider, clock, log }: SendDeps,
  taken: Taken,
  queues: readonly (readonly Notification[])[],
): Promise<Notification[]> {
  const results: Notification[] = [];
  let outage: Exclude<SendOutcome, { outcome: 'sent' }> | undefined;
  if (taken.size > MOST_TAKEN) taken.clear();
  const attempt = async (message: Notification): Promise<Notification> => {
    const key = notificationKey(message);
    const takenAt = taken.get(key);
    if (takenAt !== undefined) return afterAttempt(message, { outcome: 'sent' }, takenAt);
    const result = outage ?? (await provider.send(message, key));
    if (result.outcome === 'unavailable') outage = result;
    if (result.outcome === 'sent') taken.set(key, clock.now());
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
  if (outage) {
    const pending = results.filter(({ state }) => state === 'PENDING').length;
    log.warn(
      { messages: pending, fault: outage.error },
      'messages to customers wait for an unavailable provider',
    );
  }
  return results;
}

export function idsOf(items: readonly { readonly orderId: string }[]): OrderId[] {
  return [...new Set(items.map(({ orderId }) => orderId as OrderId))];
}
