/** The order aggregate: its content, its states, and which state may follow which. */
import type { Money } from './money.ts';

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
