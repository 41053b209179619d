/** The order aggregate: what it carries, the states it goes through, and the rules that move it. */
import { unreachable } from './errors.ts';
import type { Money } from './money.ts';
import { dueTime } from './schedule.ts';

export type OrderId = string & { readonly __brand: 'OrderId' };

/** What an order id may look like, whoever chose it. */
export const ORDER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface OrderItem {
  readonly itemId: string;
  /** As the catalogue called it when the order was placed. */
  readonly name?: string;
  readonly quantity: number;
  /** Minor units of the order's currency; absent until a catalogue names it. */
  readonly unitPriceMinor?: number;
}

export interface Address {
  readonly street: string;
  readonly city: string;
  readonly state: string;
  readonly zipCode: string;
}

/** How the total of an order with items came about, in minor units: base - discount + fees. */
export interface PriceParts {
  readonly baseMinor: number;
  readonly discountMinor: number;
  readonly feesMinor: number;
}

/** What the customer asked for; it never changes. What an order needs follows from what it carries. */
export interface OrderContent {
  readonly id: OrderId;
  readonly customerName?: string;
  readonly customerId?: string;
  readonly restaurantId?: string;
  readonly items: readonly OrderItem[];
  readonly deliveryAddress?: Address;
  /** It is to be delivered though no address came with it: the carrier has the customer's. */
  readonly toCustomer?: true;
  readonly contact?: { readonly name?: string; readonly phone?: string };
  /** What the payment provider charges; absent for one that knows the customer. */
  readonly paymentToken?: string;
  readonly specialInstructions?: string;
  readonly total: Money;
  /** Absent where the total was given instead of priced. */
  readonly price?: PriceParts;
}

/** One entry for each version, so the timeline has no gap: a status reached, or a fact that moved nothing. */
export type TimelineEntry =
  | { readonly status: OrderStatus; readonly at: number }
  | { readonly fact: string; readonly at: number };

export const ORDER_STATUSES = [
  'CREATED',
  'PROCESSING',
  'CONFIRMED',
  'ACCEPTED',
  'PREPARING',
  'RIDER_ASSIGNED',
  'OUT_FOR_DELIVERY',
  'DELIVERED',
  'COMPLETED',
  'FAILED',
  'REJECTED',
  'CANCELLED',
] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];
/** The states on the way to the order's end, as opposed to the three it can drop out into. */
export type Milestone = Exclude<OrderStatus, 'FAILED' | 'REJECTED' | 'CANCELLED'>;

export type OrderState =
  | { readonly status: Milestone }
  | { readonly status: 'FAILED' | 'REJECTED'; readonly reason: string }
  | { readonly status: 'CANCELLED'; readonly reason?: string };

export type Order = OrderContent &
  OrderState & {
    /** The time the customer asked for, epoch ms; absent for an immediate order. */
    readonly scheduledAt?: number;
    /** When the order leaves the scheduler, epoch ms; this schedule's version. */
    readonly dueAt: number;
    readonly createdAt: number;
    readonly updatedAt: number;
    /** Raised by one with every change; equals the length of the timeline. */
    readonly version: number;
    readonly timeline: readonly TimelineEntry[];
  };

export type OrderCommand =
  | { readonly type: 'reschedule'; readonly scheduledAt: number }
  | { readonly type: 'cancel'; readonly reason?: string }
  /** The scheduler sent the order off: its schedule, so that one which was replaced meanwhile is told apart. */
  | { readonly type: 'start'; readonly dueAt: number }
  /** `by: 'fact'` reports what has already happened, so when it is late it is noted; a request is refused instead. */
  | { readonly type: 'advance'; readonly to: Milestone; readonly by: 'fact' | 'request' }
  | { readonly type: 'fail'; readonly reason: string }
  | { readonly type: 'reject'; readonly reason: string };

/** What happened to an order; `at` is epoch ms. */
export type OrderEvent =
  | {
      readonly type: 'created';
      readonly at: number;
      readonly content: OrderContent;
      readonly scheduledAt?: number;
      readonly dueAt: number;
    }
  | {
      readonly type: 'rescheduled';
      readonly at: number;
      readonly scheduledAt: number;
      readonly dueAt: number;
    }
  | { readonly type: 'advanced'; readonly at: number; readonly to: Exclude<Milestone, 'CREATED'> }
  | { readonly type: 'failed'; readonly at: number; readonly reason: string }
  | { readonly type: 'rejected'; readonly at: number; readonly reason: string }
  | { readonly type: 'cancelled'; readonly at: number; readonly reason?: string }
  | { readonly type: 'noted'; readonly at: number; readonly fact: string };

/** Either the events that follow from a command (none when nothing remains to be done), or why it is refused. */
export type Decision =
  | { readonly events: readonly OrderEvent[] }
  | { readonly refused: 'ALREADY_DISPATCHED' | 'ILLEGAL_TRANSITION' | 'STALE_SCHEDULE' };

/** A new order, whose first event is its creation. */
export function place(content: OrderContent, scheduledAt: number | undefined, now: number): OrderEvent {
  const dueAt = dueTime(scheduledAt, now);
  return { type: 'created', at: now, content, dueAt, ...(scheduledAt === undefined ? {} : { scheduledAt }) };
}

export function isDelivered(order: OrderContent): boolean {
  return order.deliveryAddress !== undefined || order.toCustomer === true;
}

/**
 * The states this order goes through when all goes well, in order. What a restaurant makes and no rider of ours carries
 * is collected there, which completes it (`nextMilestones`), or brought by the restaurant itself.
 */
export function journey(order: OrderContent): readonly Milestone[] {
  const delivered = isDelivered(order);
  return [
    'CREATED',
    'PROCESSING',
    ...(order.items.length > 0 ? (['CONFIRMED'] as const) : []),
    ...(order.restaurantId ? (['ACCEPTED', 'PREPARING'] as const) : []),
    ...(delivered ? (['RIDER_ASSIGNED'] as const) : []),
    ...(delivered || order.restaurantId
      ? (['OUT_FOR_DELIVERY', 'DELIVERED'] as const)
      : (['COMPLETED'] as const)),
  ];
}

/** The milestones the order may go to from where it stands. A kitchen need not announce that it began, so PREPARING may be passed over. */
export function nextMilestones(order: Order): readonly Milestone[] {
  const path = journey(order);
  const here = path.indexOf(order.status as Milestone);
  if (here < 0) return [];
  const next = path[here + 1];
  if (next === undefined) return [];
  const afterNext = path[here + 2];
  return [
    next,
    ...(next === 'PREPARING' && afterNext ? [afterNext] : []),
    ...(isCollected(order) ? (['COMPLETED'] as const) : []),
  ];
}

/** It waits at the restaurant for whoever fetches it. */
function isCollected(order: Order): boolean {
  return !isDelivered(order) && (order.status === 'ACCEPTED' || order.status === 'PREPARING');
}

export function isFinal(status: OrderStatus): boolean {
  return (
    status === 'COMPLETED' ||
    status === 'DELIVERED' ||
    status === 'FAILED' ||
    status === 'REJECTED' ||
    status === 'CANCELLED'
  );
}

/** Every status the order may be moved to from where it stands. */
export function allowedStatuses(order: Order): readonly OrderStatus[] {
  if (isFinal(order.status)) return [];
  return [
    ...nextMilestones(order),
    'FAILED',
    ...(order.status === 'CONFIRMED' && order.restaurantId ? (['REJECTED'] as const) : []),
    'CANCELLED',
  ];
}

const NOTHING: Decision = { events: [] };

export function decide(command: OrderCommand, order: Order, now: number): Decision {
  switch (command.type) {
    case 'reschedule': {
      if (order.status !== 'CREATED')
        return { refused: isFinal(order.status) ? 'ILLEGAL_TRANSITION' : 'ALREADY_DISPATCHED' };
      const dueAt = dueTime(command.scheduledAt, now);
      if (dueAt === order.dueAt) return NOTHING;
      return { events: [{ type: 'rescheduled', at: now, scheduledAt: command.scheduledAt, dueAt }] };
    }
    case 'cancel':
      if (order.status === 'CANCELLED') return NOTHING;
      if (isFinal(order.status)) return { refused: 'ILLEGAL_TRANSITION' };
      return {
        events: [{ type: 'cancelled', at: now, ...(command.reason ? { reason: command.reason } : {}) }],
      };
    case 'start':
      if (order.status !== 'CREATED') return NOTHING;
      if (command.dueAt !== order.dueAt) return { refused: 'STALE_SCHEDULE' };
      return { events: [{ type: 'advanced', at: now, to: 'PROCESSING' }] };
    case 'advance':
      return advance(order, command.to, command.by, now);
    case 'fail':
      if (order.status === 'FAILED' && order.reason === command.reason) return NOTHING;
      if (isFinal(order.status)) return note(order, `FAILED: ${command.reason}`, now);
      return { events: [{ type: 'failed', at: now, reason: command.reason }] };
    case 'reject':
      if (order.status !== 'CONFIRMED' || !order.restaurantId) return { refused: 'ILLEGAL_TRANSITION' };
      return { events: [{ type: 'rejected', at: now, reason: command.reason }] };
    default:
      return unreachable(command);
  }
}

function advance(order: Order, to: Milestone, by: 'fact' | 'request', now: number): Decision {
  if (to !== 'CREATED' && nextMilestones(order).includes(to))
    return { events: [{ type: 'advanced', at: now, to }] };
  if (order.status === to) return NOTHING;
  if (by === 'request') return { refused: 'ILLEGAL_TRANSITION' };
  const path = journey(order);
  const isLate = isFinal(order.status) || path.indexOf(to) < path.indexOf(order.status as Milestone);
  return isLate && path.includes(to) ? note(order, to, now) : { refused: 'ILLEGAL_TRANSITION' };
}

/** A fact that arrives late is written down once and does not move the order back. */
function note(order: Order, fact: string, now: number): Decision {
  const known = order.timeline.some((entry) =>
    'fact' in entry ? entry.fact === fact : entry.status === fact,
  );
  return known ? NOTHING : { events: [{ type: 'noted', at: now, fact }] };
}

export function evolve(order: Order | undefined, event: OrderEvent): Order {
  if (event.type === 'created') {
    return {
      ...event.content,
      status: 'CREATED',
      ...(event.scheduledAt === undefined ? {} : { scheduledAt: event.scheduledAt }),
      dueAt: event.dueAt,
      createdAt: event.at,
      updatedAt: event.at,
      version: 1,
      timeline: [{ status: 'CREATED', at: event.at }],
    };
  }
  if (!order) throw new TypeError(`an order begins with its creation, not with '${event.type}'`);
  switch (event.type) {
    case 'rescheduled':
      return changed(
        { ...order, scheduledAt: event.scheduledAt, dueAt: event.dueAt },
        { fact: 'RESCHEDULED', at: event.at },
      );
    case 'advanced':
      return changed({ ...order, status: event.to }, { status: event.to, at: event.at });
    case 'failed':
      return changed(
        { ...order, status: 'FAILED', reason: event.reason },
        { status: 'FAILED', at: event.at },
      );
    case 'rejected':
      return changed(
        { ...order, status: 'REJECTED', reason: event.reason },
        { status: 'REJECTED', at: event.at },
      );
    case 'cancelled':
      return changed(
        { ...order, status: 'CANCELLED', ...(event.reason ? { reason: event.reason } : {}) },
        { status: 'CANCELLED', at: event.at },
      );
    case 'noted':
      return changed(order, { fact: event.fact, at: event.at });
    default:
      return unreachable(event);
  }
}

function changed(order: Order, entry: TimelineEntry): Order {
  return { ...order, updatedAt: entry.at, version: order.version + 1, timeline: [...order.timeline, entry] };
}
