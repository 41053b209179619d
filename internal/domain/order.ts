/** The order aggregate: its content, its states, and the transitions between them. */
import type { Money } from './money.ts';

export type OrderId = string & { readonly __brand: 'OrderId' };

/** The format of every order id, whether the client or Tiffin chose it. */
export const ORDER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface OrderItem {
  readonly itemId: string;
  /** The catalogue's name for the item when the order was placed. */
  readonly name?: string;
  readonly quantity: number;
  /** Minor units of the order's currency; absent if neither the client nor the catalogue gave a price. */
  readonly unitPriceMinor?: number;
}

export interface Address {
  readonly street: string;
  readonly city: string;
  readonly state: string;
  readonly zipCode: string;
}

/** The parts of a priced order's total, in minor units: total = base - discount + fees. */
export interface PriceParts {
  readonly baseMinor: number;
  readonly discountMinor: number;
  readonly feesMinor: number;
}

/** The part of an order that never changes. Its journey follows from which of these fields it has. */
export interface OrderContent {
  readonly id: OrderId;
  readonly customerName?: string;
  readonly customerId?: string;
  readonly restaurantId?: string;
  readonly items: readonly OrderItem[];
  readonly deliveryAddress?: Address;
  /** The order is delivered although it has no address: the carrier knows the customer's. */
  readonly toCustomer?: true;
  readonly contact?: { readonly name?: string; readonly phone?: string };
  /** The payment provider's token for the payment method; absent if the provider knows the customer's. */
  readonly paymentToken?: string;
  readonly specialInstructions?: string;
  readonly total: Money;
  /** Absent if the client gave the total. */
  readonly price?: PriceParts;
}

/** One entry for each version: a status that was reached, or a fact that left the status unchanged. `at` is epoch ms. */
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
/** The states of a successful order. */
export type Milestone = Exclude<OrderStatus, 'FAILED' | 'REJECTED' | 'CANCELLED'>;

export type OrderState =
  | { readonly status: Milestone }
  | { readonly status: 'FAILED' | 'REJECTED'; readonly reason: string }
  | { readonly status: 'CANCELLED'; readonly reason?: string };

export type Order = OrderContent &
  OrderState & {
    /** The time that the customer chose, epoch ms; absent for an immediate order. */
    readonly scheduledAt?: number;
    /** When the scheduler dispatches the order, epoch ms; also identifies the schedule, since rescheduling changes it. */
    readonly dueAt: number;
    /** Epoch ms. */
    readonly createdAt: number;
    /** Time of the last change, epoch ms. */
    readonly updatedAt: number;
    /** 1 for a new order, plus one for every change; equals the length of the timeline. */
    readonly version: number;
    readonly timeline: readonly TimelineEntry[];
  };

export function isDelivered(order: OrderContent): boolean {
  return order.deliveryAddress !== undefined || order.toCustomer === true;
}

/**
 * The states of this order when all goes well, in order. An order that a restaurant makes and no rider carries is either
 * delivered by the restaurant, as listed here, or collected by the customer: then COMPLETED follows (`nextMilestones`).
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

/** The milestones that may follow the order's status. PREPARING may be skipped, since a kitchen need not report that it began. */
export function nextMilestones(order: Order): readonly Milestone[] {
  const path = journey(order);
  const index = path.indexOf(order.status as Milestone);
  if (index < 0) return [];
  const next = path[index + 1];
  if (next === undefined) return [];
  const afterNext = path[index + 2];
  return [
    next,
    ...(next === 'PREPARING' && afterNext ? [afterNext] : []),
    ...(canBeCollected(order) ? (['COMPLETED'] as const) : []),
  ];
}

function canBeCollected(order: Order): boolean {
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

/** Every status that may follow the order's status; empty if that is final. */
export function allowedStatuses(order: Order): readonly OrderStatus[] {
  if (isFinal(order.status)) return [];
  return [
    ...nextMilestones(order),
    'FAILED',
    ...(order.status === 'CONFIRMED' && order.restaurantId ? (['REJECTED'] as const) : []),
    'CANCELLED',
  ];
}
