/** Messages to customers: which change of an order causes one, to whom, what it says, and when it is tried again. */
import { FOOD_ORDERING } from './dialects.ts';
import { unreachable } from './errors.ts';
import type { EventOf, EventType } from './events.ts';
import type { OrderContent, OrderId } from './order.ts';
import { type Backoff, backoffMs } from './retry.ts';

/** What the provider is handed. */
export interface Message {
  readonly to: string;
  readonly template: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** A message as it is kept; there is one of a template for each order. Times are epoch ms. */
export interface Notification extends Message {
  readonly orderId: OrderId;
  readonly state: 'PENDING' | 'SENT' | 'GIVEN_UP';
  /** Times it was its turn and it was not taken. */
  readonly attempts: number;
  /** Why it was not taken the last time. */
  readonly error?: string;
  /** When what it tells of happened. */
  readonly createdAt: number;
  readonly sentAt?: number;
}

/** What became of handing a message to the provider. */
export type SendOutcome =
  | { readonly outcome: 'sent' }
  /** It will never take this message. */
  | { readonly outcome: 'refused'; readonly error: string }
  | { readonly outcome: 'failed'; readonly error: string }
  /** It answers nobody, or wants no more for now: another message would fare no better. */
  | { readonly outcome: 'away'; readonly error: string };

export type Customer = Pick<OrderContent, 'customerId' | 'contact'>;

/**
 * The changes that a customer is told of. What food-ordering has no new word for (PROCESSING, CONFIRMED, PREPARING) is not
 * among them.
 */
export const NOTIFIABLE_EVENTS = [
  'order.created',
  'order.accepted',
  'order.rider_assigned',
  'order.out_for_delivery',
  'order.delivered',
  'order.completed',
  'order.failed',
  'order.rejected',
  'order.cancelled',
] as const satisfies readonly EventType[];
export type NotifiableEvent = EventOf<(typeof NOTIFIABLE_EVENTS)[number]>;

const UNTIL_DELIVERED: ReadonlySet<EventType> = new Set([
  'order.accepted',
  'order.rider_assigned',
  'order.out_for_delivery',
]);

const RETRY: Backoff = { firstMs: 5_000, longestMs: 300_000 };
/** News of yesterday is no news. */
const GIVE_UP_MS = 24 * 3_600_000;

/** The food-ordering word of the status, but that an order without delivery was never DELIVERED: it is COMPLETED. */
export function templateOf(event: NotifiableEvent): string {
  const status = 'status' in event.payload ? event.payload.status : 'CREATED';
  return `ORDER_${status === 'COMPLETED' ? status : FOOD_ORDERING[status]}`;
}

/** Where messages about an order go; undefined where it names nobody who could be told. */
export function recipientOf({ contact, customerId }: Customer): string | undefined {
  return contact?.phone || customerId;
}

export function hasEta(event: NotifiableEvent): boolean {
  return UNTIL_DELIVERED.has(event.eventType);
}

/** Times of day such as 17:35 in a time zone such as Asia/Kolkata; throws a RangeError where there is no such zone. */
export function timeOfDay(timeZone: string): (epochMs: number) => string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return (epochMs) => format.format(epochMs);
}

/** The message that a change causes, before it was ever tried; `eta` is a time of day. */
export function notificationOf(event: NotifiableEvent, to: string, eta: string | undefined): Notification {
  const reason = 'reason' in event.payload ? event.payload.reason : undefined;
  return {
    orderId: event.orderId as OrderId,
    to,
    template: templateOf(event),
    variables: {
      orderId: event.orderId,
      ...(eta && hasEta(event) ? { eta } : {}),
      ...(reason ? { reason } : {}),
    },
    state: 'PENDING',
    attempts: 0,
    createdAt: Date.parse(event.occurredAt),
  };
}

/** The message after one attempt at it. */
export function afterAttempt(notification: Notification, result: SendOutcome, now: number): Notification {
  switch (result.outcome) {
    case 'sent': {
      const { error, ...rest } = notification;
      return { ...rest, state: 'SENT', sentAt: now };
    }
    case 'refused':
    case 'failed':
    case 'away': {
      const isOver = result.outcome === 'refused' || isOutdated(notification.createdAt, now);
      const attempts = notification.attempts + 1;
      return { ...notification, state: isOver ? 'GIVEN_UP' : 'PENDING', attempts, error: result.error };
    }
    default:
      return unreachable(result);
  }
}

/** True of what is no longer worth telling if it was not told yet. */
export function isOutdated(createdAt: number, now: number): boolean {
  return now - createdAt >= GIVE_UP_MS;
}

/** How long an order's messages wait after the oldest of them failed so often. */
export function retryDelayMs(attempts: number): number {
  return backoffMs(attempts, RETRY);
}

/** What names a message, here and to the provider. */
export function notificationKey({ orderId, template }: Pick<Notification, 'orderId' | 'template'>): string {
  return `${orderId}:${template}`;
}
