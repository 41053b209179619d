/** An order as a row of the orders table, both ways. */
import { toDecimalText } from '../../../domain/money.ts';
import type { Order, OrderContent, OrderId, OrderStatus, TimelineEntry } from '../../../domain/order.ts';
import { toRfc3339 } from '../../../domain/schedule.ts';

/** What has no column of its own; null for an order that carries none of it. */
type Content = Pick<
  OrderContent,
  'items' | 'deliveryAddress' | 'toCustomer' | 'contact' | 'paymentToken' | 'specialInstructions' | 'price'
>;

export interface OrderRow {
  order_id: string;
  customer_id: string | null;
  customer_name: string | null;
  restaurant_id: string | null;
  status: string;
  reason: string | null;
  /** NUMERIC as text. */
  total_amount: string;
  currency: string;
  content: Partial<Content> | null;
  scheduled_at: Date | null;
  due_at: Date;
  created_at: Date;
  updated_at: Date;
  version: number;
  timeline: TimelineEntry[];
  fingerprint: string;
}

export const ORDER_COLUMNS = `order_id, customer_id, customer_name, restaurant_id, status, reason, total_amount,
  currency, content, scheduled_at, due_at, created_at, updated_at, version, timeline, fingerprint`;

export function toOrder(row: OrderRow): Order {
  return {
    id: row.order_id as OrderId,
    ...(row.customer_name === null ? {} : { customerName: row.customer_name }),
    ...(row.customer_id === null ? {} : { customerId: row.customer_id }),
    ...(row.restaurant_id === null ? {} : { restaurantId: row.restaurant_id }),
    items: [],
    ...row.content,
    total: { minor: Number(row.total_amount.replace('.', '')), currency: row.currency },
    ...(row.scheduled_at === null ? {} : { scheduledAt: row.scheduled_at.getTime() }),
    dueAt: row.due_at.getTime(),
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
    version: row.version,
    timeline: row.timeline,
    ...(row.reason === null ? {} : { reason: row.reason }),
    status: row.status as OrderStatus,
  } as Order;
}

/** The columns that a change of the order may touch. */
export const CHANGED_COLUMNS = {
  order_id: 'text',
  status: 'text',
  reason: 'words',
  scheduled_at: 'timestamptz',
  due_at: 'timestamptz',
  updated_at: 'timestamptz',
  version: 'int',
  timeline: 'jsonb',
} as const;

export const PLACED_COLUMNS = {
  ...CHANGED_COLUMNS,
  customer_id: 'words',
  customer_name: 'words',
  restaurant_id: 'words',
  total_amount: 'numeric',
  currency: 'text',
  content: 'jsonb',
  created_at: 'timestamptz',
  fingerprint: 'text',
} as const;

export function toChangedColumns(order: Order) {
  return {
    order_id: order.id,
    status: order.status,
    reason: 'reason' in order ? order.reason : undefined,
    scheduled_at: order.scheduledAt === undefined ? undefined : toRfc3339(order.scheduledAt),
    due_at: toRfc3339(order.dueAt),
    updated_at: toRfc3339(order.updatedAt),
    version: order.version,
    timeline: order.timeline,
  };
}

export function toColumns(order: Order, fingerprint: string) {
  // Placing is the hot path, and a spread costs more there than all the rest of this.
  return Object.assign(toChangedColumns(order), {
    customer_id: order.customerId,
    customer_name: order.customerName,
    restaurant_id: order.restaurantId,
    total_amount: toDecimalText(order.total.minor),
    currency: order.total.currency,
    content: contentOf(order),
    created_at: toRfc3339(order.createdAt),
    fingerprint,
  });
}

function contentOf(order: Order): Content | undefined {
  const { items, deliveryAddress, toCustomer, contact, paymentToken, specialInstructions, price } = order;
  if (items.length === 0 && !deliveryAddress && !toCustomer && !contact) return undefined;
  return { items, deliveryAddress, toCustomer, contact, paymentToken, specialInstructions, price } as Content;
}
