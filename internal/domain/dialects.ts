/** The words that each of the five dialects has for an order's status. */
import type { OrderStatus } from './order.ts';

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

/** `validated_orders`, `order_status_updates` and `order_status:{id}`; an order that waits for its time has no word yet. */
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
