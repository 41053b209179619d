/** Presents orders in the response format of each dialect, with the schemas that document it. */
import { z } from 'zod';
import { DELIVERY_ETA, SCHEDULED_ORDERS } from '../../../../domain/dialects.ts';
import { toDecimal } from '../../../../domain/money.ts';
import { ORDER_STATUSES, type Order } from '../../../../domain/order.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';

const time = z.string().meta({ format: 'date-time' });

export const scheduledOrder = z
  .object({
    id: z.string(),
    orderId: z.string(),
    customer_name: z.string().optional(),
    total_price: z.number(),
    status: z.enum(['CREATED', 'PROCESSING', 'COMPLETED', 'FAILED']),
    reason: z.string().optional(),
    scheduled_time: time.optional(),
    created_at: time,
  })
  .meta({ id: 'ScheduledOrder' });

export function toScheduledOrder(order: Order): z.infer<typeof scheduledOrder> {
  return {
    id: order.id,
    orderId: order.id,
    customer_name: order.customerName,
    total_price: toDecimal(order.total.minor),
    status: SCHEDULED_ORDERS[order.status],
    ...('reason' in order && order.reason ? { reason: order.reason } : {}),
    ...(order.scheduledAt === undefined ? {} : { scheduled_time: toRfc3339(order.scheduledAt) }),
    created_at: toRfc3339(order.createdAt),
  };
}

export const itemsOrder = z
  .object({
    id: z.string(),
    orderId: z.string(),
    customerId: z.string().optional(),
    status: z.enum([...new Set(Object.values(DELIVERY_ETA))]),
    reason: z.string().optional(),
    items: z.array(
      z.object({
        itemId: z.string(),
        name: z.string().optional(),
        quantity: z.number(),
        unitPrice: z.number().optional(),
      }),
    ),
    /** The charged amount: base - discount + fees. */
    totalAmount: z.number(),
    currency: z.string(),
    createdAt: time,
  })
  .meta({ id: 'ItemsOrder' });

export function toItemsOrder(order: Order): z.infer<typeof itemsOrder> {
  return {
    id: order.id,
    orderId: order.id,
    customerId: order.customerId,
    status: DELIVERY_ETA[order.status],
    ...('reason' in order && order.reason ? { reason: order.reason } : {}),
    items: order.items.map(({ unitPriceMinor, ...item }) => ({
      ...item,
      ...(unitPriceMinor === undefined ? {} : { unitPrice: toDecimal(unitPriceMinor) }),
    })),
    totalAmount: toDecimal(order.total.minor),
    currency: order.total.currency,
    createdAt: toRfc3339(order.createdAt),
  };
}

/** An order is returned in the form in which it was placed: with items or with an amount. */
export function toShownOrder(order: Order) {
  return order.items.length > 0 ? toItemsOrder(order) : toScheduledOrder(order);
}

export const listedOrder = z
  .object({
    id: z.string(),
    orderId: z.string(),
    customerName: z.string().optional(),
    status: z.enum(ORDER_STATUSES),
    reason: z.string().optional(),
    totalAmount: z.number(),
    currency: z.string(),
    scheduledAt: time.optional(),
    dueAt: time,
    createdAt: time,
    updatedAt: time,
    version: z.int().min(1),
  })
  .meta({ id: 'Order' });

export function toListedOrder(order: Order): z.infer<typeof listedOrder> {
  return {
    id: order.id,
    orderId: order.id,
    customerName: order.customerName,
    status: order.status,
    ...('reason' in order && order.reason ? { reason: order.reason } : {}),
    totalAmount: toDecimal(order.total.minor),
    currency: order.total.currency,
    ...(order.scheduledAt === undefined ? {} : { scheduledAt: toRfc3339(order.scheduledAt) }),
    dueAt: toRfc3339(order.dueAt),
    createdAt: toRfc3339(order.createdAt),
    updatedAt: toRfc3339(order.updatedAt),
    version: order.version,
  };
}
