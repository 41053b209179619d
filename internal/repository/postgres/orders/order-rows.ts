/** Converts orders to table rows and back. */
import type { Order } from '../../../domain/order.ts';
import { orders, type StoredContent } from '../schema/orders.ts';

export type OrderRow = typeof orders.$inferSelect;

export function toOrder(row: OrderRow): Order {
  return {
    id: row.orderId,
    ...(row.customerName === null ? {} : { customerName: row.customerName }),
    ...(row.customerId === null ? {} : { customerId: row.customerId }),
    ...(row.restaurantId === null ? {} : { restaurantId: row.restaurantId }),
    items: [],
    ...row.content,
    total: { minor: row.total, currency: row.currency },
    ...(row.scheduledAt === null ? {} : { scheduledAt: row.scheduledAt }),
    dueAt: row.dueAt,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    version: row.version,
    timeline: row.timeline,
    ...(row.reason === null ? {} : { reason: row.reason }),
    status: row.status,
  } as Order;
}

/** The columns that a change of an order may update. */
export const CHANGED = {
  status: orders.status,
  reason: orders.reason,
  scheduledAt: orders.scheduledAt,
  dueAt: orders.dueAt,
  updatedAt: orders.updatedAt,
  version: orders.version,
  timeline: orders.timeline,
};

export const PLACED = {
  ...CHANGED,
  orderId: orders.orderId,
  customerId: orders.customerId,
  customerName: orders.customerName,
  restaurantId: orders.restaurantId,
  total: orders.total,
  currency: orders.currency,
  content: orders.content,
  createdAt: orders.createdAt,
  fingerprint: orders.fingerprint,
};

export function toChangedRow(order: Order) {
  return {
    orderId: order.id,
    status: order.status,
    reason: 'reason' in order ? order.reason : undefined,
    scheduledAt: order.scheduledAt,
    dueAt: order.dueAt,
    updatedAt: order.updatedAt,
    version: order.version,
    timeline: order.timeline,
  };
}

export function toPlacedRow(order: Order, fingerprint: string) {
  // Placing is the hot path; a spread would cost more than the rest of this function.
  return Object.assign(toChangedRow(order), {
    customerId: order.customerId,
    customerName: order.customerName,
    restaurantId: order.restaurantId,
    total: order.total.minor,
    currency: order.total.currency,
    content: contentOf(order),
    createdAt: order.createdAt,
    fingerprint,
  });
}

function contentOf(order: Order): StoredContent | undefined {
  const { items, deliveryAddress, toCustomer, contact, paymentToken, specialInstructions, price } = order;
  if (items.length === 0 && !deliveryAddress && !toCustomer && !contact) return undefined;
  return {
    items,
    deliveryAddress,
    toCustomer,
    contact,
    paymentToken,
    specialInstructions,
    price,
  } as StoredContent;
}
