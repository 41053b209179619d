/** Messages to customers: the events that cause one, its recipient and content, and its retries. */
import { FOOD_ORDERING } from './dialects.ts';
import { unreachable } from './errors.ts';
import type { EventOf, EventType } from './events.ts';
import type { OrderContent, OrderId } from './order.ts';
import { type Backoff, backoffMs } from './retry.ts';

/** A message for the provider; `to` is a phone number or a customer id. */
export interface Message {
  readonly to: string;
  readonly template: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** A message as it is stored: at most one of each template for an order. Times are epoch ms. */
export interface Notification extends Message {
  readonly orderId: OrderId;
  readonly state: 'PENDING' | 'SENT' | 'GIVEN_UP';
  /** Failed attempts. */
  readonly attempts: number;
  /** The fault of the last failed attempt. */
  readonly error?: string;
  /** When the event that caused the message occurred. */
  readonly createdAt: number;
  readonly sentAt?: number;
}

/** The result of one attempt to send a message. */
export type SendOutcome =
  | { readonly outcome: 'sent' }
  /** The provider will never accept this message. */
  | { readonly outcome: 'refused'; readonly error: string }
  | { readonly outcome: 'failed'; readonly error: string }
  /** The provider is unreachable or limits the rate: other messages would fail as well. */
  | { readonly outcome: 'unavailable'; readonly error: string };

export type Customer = Pick<OrderContent, 'customerId' | 'contact'>;

/** The events that cause a message. PROCESSING, CONFIRMED and PREPARING are absent: food-ordering has no word of its own for them. */
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
/** A message older than a day is abandoned. */
const GIVE_UP_MS = 24 * 3_600_000;

/** `ORDER_` and the food-ordering word of the status, except COMPLETED: an order without delivery was never DELIVERED. */
export function templateOf(event: NotifiableEvent): string {
  const status = 'status' in event.payload ? event.payload.status : 'CREATED';
  return `ORDER_${status === 'COMPLETED' ? status : FOOD_ORDERING[status]}`;
}

/** The recipient of an order's messages: the contact's phone, else the customer's id; undefined if the order has neither. */
export function recipientOf({ contact, customerId }: Customer): string | undefined {
  return contact?.phone || customerId;
}

export function hasEta(event: NotifiableEvent): boolean {
  return UNTIL_DELIVERED.has(event.eventType);
}

/** A formatter for times of day such as 17:35 in a time zone such as Asia/Kolkata; throws a RangeError if there is no such zone. */
export function timeOfDay(timeZone: string): (epochMs: number) => string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return (epochMs) => format.format(epochMs);
}

/** The new message that an event causes; `eta` is a time of day. */
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
    case 'unavailable': {
      const isOver = result.outcome === 'refused' || isOutdated(notification.createdAt, now);
      const attempts = notification.attempts + 1;
      return { ...notification, state: isOver ? 'GIVEN_UP' : 'PENDING', attempts, error: result.error };
    }
    default:
      return unreachable(result);
  }
}

/** True for a message that is too old to be sent. */
export function isOutdated(createdAt: number, now: number): boolean {
  return now - createdAt >= GIVE_UP_MS;
}

/** How long an order's messages wait after that many failed attempts at the oldest of them, milliseconds. */
export function retryDelayMs(attempts: number): number {
  return backoffMs(attempts, RETRY);
}

/** The message's identity, and its idempotency key at the provider. */
export function notificationKey({ orderId, template }: Pick<Notification, 'orderId' | 'template'>): string {
  return `${orderId}:${template}`;
}
