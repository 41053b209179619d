/** The status words of the five API dialects, one table for each. */
import { toDecimal } from './money.ts';
import type { Order, OrderStatus } from './order.ts';
import { toRfc3339 } from './schedule.ts';

type Words = Readonly<Record<OrderStatus, string>>;

/** `POST /orders` with a customer's name, and its topics. */
export const SCHEDULED_ORDERS = {
  CREATED: 'CREATED',
  PROCESSING: 'PROCESSING',
  CONFIRMED: 'PROCESSING',
  ACCEPTED: 'PROCESSING',
  PREPARING: 'PROCESSING',
  RIDER_ASSIGNED: 'PROCESSING',
  OUT_FOR_DELIVERY: 'PROCESSING',
  DELIVERED: 'COMPLETED',
  COMPLETED: 'COMPLETED',
  FAILED: 'FAILED',
  REJECTED: 'FAILED',
  CANCELLED: 'FAILED',
} as const satisfies Words;

/** `/v1/orders`, `order_events` and notifications. */
export const FOOD_ORDERING = {
  CREATED: 'PLACED',
  PROCESSING: 'PLACED',
  CONFIRMED: 'PLACED',
  ACCEPTED: 'ACCEPTED',
  PREPARING: 'ACCEPTED',
  RIDER_ASSIGNED: 'RIDER_ASSIGNED',
  OUT_FOR_DELIVERY: 'PICKED_UP',
  DELIVERED: 'DELIVERED',
  COMPLETED: 'DELIVERED',
  FAILED: 'FAILED',
  REJECTED: 'REJECTED',
  CANCELLED: 'CANCELLED',
} as const satisfies Words;

type FoodWord = (typeof FOOD_ORDERING)[OrderStatus];

/** The timeline in food-ordering words; consecutive statuses with the same word are one entry. Times are RFC 3339. */
export function foodTimeline({ timeline }: Order): { status: FoodWord; at: string }[] {
  const entries: { status: FoodWord; at: string }[] = [];
  for (const entry of timeline) {
    if (!('status' in entry)) continue;
    const status = FOOD_ORDERING[entry.status];
    if (entries.at(-1)?.status !== status) entries.push({ status, at: toRfc3339(entry.at) });
  }
  return entries;
}

/** `validated_orders`, `order_status_updates` and `order_status:{id}`. The dialect has no word of its own for CREATED. */
export const ORDER_MANAGER = {
  CREATED: 'PROCESSING',
  PROCESSING: 'PROCESSING',
  CONFIRMED: 'CONFIRMED',
  ACCEPTED: 'CONFIRMED',
  PREPARING: 'CONFIRMED',
  RIDER_ASSIGNED: 'CONFIRMED',
  OUT_FOR_DELIVERY: 'CONFIRMED',
  DELIVERED: 'CONFIRMED',
  COMPLETED: 'CONFIRMED',
  FAILED: 'FAILED',
  REJECTED: 'FAILED',
  CANCELLED: 'FAILED',
} as const satisfies Words;

/** `/api/v1/orders`. */
export const TRANSACTIONAL_OUTBOX = {
  CREATED: 'PLACED',
  PROCESSING: 'PLACED',
  CONFIRMED: 'PLACED',
  ACCEPTED: 'PREPARING',
  PREPARING: 'PREPARING',
  RIDER_ASSIGNED: 'PREPARING',
  OUT_FOR_DELIVERY: 'OUT_FOR_DELIVERY',
  DELIVERED: 'DELIVERED',
  COMPLETED: 'DELIVERED',
  FAILED: 'CANCELLED',
  REJECTED: 'CANCELLED',
  CANCELLED: 'CANCELLED',
} as const satisfies Words;

/** `POST /orders` with items, and `/ui/orders`. */
export const DELIVERY_ETA = {
  CREATED: 'CREATED',
  PROCESSING: 'CREATED',
  CONFIRMED: 'CONFIRMED',
  ACCEPTED: 'CONFIRMED',
  PREPARING: 'CONFIRMED',
  RIDER_ASSIGNED: 'ASSIGNED',
  OUT_FOR_DELIVERY: 'OUT_FOR_DELIVERY',
  DELIVERED: 'DELIVERED',
  COMPLETED: 'COMPLETED',
  FAILED: 'FAILED',
  REJECTED: 'FAILED',
  CANCELLED: 'CANCELLED',
} as const satisfies Words;

/** An order's status and price as `order_status:<id>` and `/orders/{id}/status` show them; amounts are decimals. */
export function orderManagerStatus(order: Order) {
  return {
    status: ORDER_MANAGER[order.status],
    details: {
      status: order.status,
      ...('reason' in order && order.reason ? { reason: order.reason } : {}),
      final_total: toDecimal(order.total.minor),
      ...(order.price
        ? {
            base_total: toDecimal(order.price.baseMinor),
            discount_applied: toDecimal(order.price.discountMinor),
            fees_applied: toDecimal(order.price.feesMinor),
          }
        : {}),
    },
  };
}
