/** Sends an order's messages to its provider, oldest first, and holds back those behind a message that waits. */
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

/** Orders whose messages are sent at a time. */
const CONCURRENCY = 16;

export interface SendDeps {
  readonly provider: NotificationProvider;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is to be stored: every message that was tried, and the new ones that are not to overtake one that waits. */
export async function attemptAll(
  deps: SendDeps,
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
  { provider, clock, log }: SendDeps,
  queues: readonly (readonly Notification[])[],
): Promise<Notification[]> {
  const results: Notification[] = [];
  let away: Exclude<SendOutcome, { outcome: 'sent' }> | undefined;
  const attempt = async (message: Notification): Promise<Notification> => {
    const result = away ?? (await provider.send(message, notificationKey(message)));
    if (result.outcome === 'unavailable') away = result;
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

export function idsOf(about: readonly { readonly orderId: string }[]): OrderId[] {
  return [...new Set(about.map(({ orderId }) => orderId as OrderId))];
}
