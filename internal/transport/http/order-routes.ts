/** The routes of orders: place, read, list, cancel and reschedule. */
import Router from '@koa/router';
import type { Context } from 'koa';
import { TiffinError } from '../../domain/errors.ts';
import { toDecimal } from '../../domain/money.ts';
import type { Order, OrderCommand, OrderId } from '../../domain/order.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import { type ChangeDeps, changeOrder } from '../../service/change-order.ts';
import type { PlaceOrder, PlaceResult } from '../../service/place-order.ts';
import type { Clock, OrderStore } from '../../service/ports.ts';
import { readJson } from './body.ts';
import { parse } from './errors.ts';
import {
  cancelBody,
  idQuery,
  listQuery,
  orderId,
  placeOrderBody,
  rescheduleBody,
  toCursor,
} from './order-schemas.ts';
import {
  etag,
  fingerprintOf,
  idempotencyKey,
  ifMatch,
  send,
  sendAgain,
  traceparent,
} from './request-headers.ts';

const PRODUCER = 'order-service';
/** An order without a currency of its own is in the shop's. */
const DEFAULT_CURRENCY = 'USD';

export interface OrderRouteDeps extends ChangeDeps {
  readonly place: (command: PlaceOrder) => Promise<PlaceResult>;
  readonly orders: OrderStore;
  readonly clock: Clock;
  readonly newOrderId: () => string;
}

export function orderRoutes(deps: OrderRouteDeps): Router {
  const router = new Router();
  const now = () => deps.clock.now();
  const placeSchema = placeOrderBody(now);
  const rescheduleSchema = rescheduleBody(now);

  router.post('/orders', async (ctx) => {
    const body = parse(placeSchema, await readJson(ctx));
    const fingerprint = fingerprintOf(body);
    const key = idempotencyKey(ctx, 'POST /orders', fingerprint);
    const result = await deps.place({
      content: {
        id: body.id ?? (deps.newOrderId() as OrderId),
        customerName: body.customer_name,
        items: [],
        total: { minor: body.total_price, currency: DEFAULT_CURRENCY },
      },
      scheduledAt: body.scheduled_time,
      fingerprint,
      origin: { producer: PRODUCER, traceparent: traceparent(ctx) },
      idempotency: key && { key, answer: placed },
    });
    switch (result.outcome) {
      case 'placed':
        return send(ctx, placed(result.order));
      case 'repeated':
        return sendAgain(ctx, { ...placed(result.order), fingerprint });
      case 'answered':
        return sendAgain(ctx, result.answer);
      case 'refused':
        throw result.error;
    }
  });

  async function show(ctx: Context, id: OrderId): Promise<void> {
    const [order] = await deps.orders.find([id]);
    if (!order) throw new TiffinError('ORDER_NOT_FOUND', `there is no order '${id}'`);
    send(ctx, { status: 200, headers: { ETag: etag(order.version) }, body: toScheduledOrder(order) });
  }

  router.get('/orders', async (ctx) => show(ctx, parse(idQuery, ctx.query).id));
  router.get('/orders/:id', async (ctx) => show(ctx, pathId(ctx)));

  router.get('/v1/orders', async (ctx) => {
    const { cursor, limit, ...filters } = parse(listQuery, ctx.query);
    // One more than asked for tells whether there is a next page.
    const found = await deps.orders.list({
      ...filters,
      ...(cursor ? { after: cursor } : {}),
      limit: limit + 1,
    });
    const page = found.slice(0, limit);
    const last = page.at(-1);
    ctx.body = {
      orders: page.map(toListedOrder),
      nextCursor: found.length > limit && last ? toCursor(last) : null,
    };
  });

  async function change(ctx: Context, command: OrderCommand, operation: string): Promise<void> {
    const id = pathId(ctx);
    const key =
      ctx.method === 'POST' ? idempotencyKey(ctx, operation, fingerprintOf(id, command)) : undefined;
    const result = await changeOrder(deps, {
      id,
      command,
      origin: { producer: PRODUCER, traceparent: traceparent(ctx) },
      ifVersion: ifMatch(ctx),
      idempotency: key && { key, answer: changed },
    });
    if ('answer' in result) sendAgain(ctx, result.answer);
    else send(ctx, changed(result.order));
  }

  router.post('/v1/orders/:id/cancel', async (ctx) => {
    const { reason } = parse(cancelBody, await readJson(ctx, { optional: true })) ?? {};
    await change(ctx, { type: 'cancel', ...(reason ? { reason } : {}) }, 'POST /v1/orders/{id}/cancel');
  });

  router.patch('/v1/orders/:id/schedule', async (ctx) => {
    const { scheduledAt } = parse(rescheduleSchema, await readJson(ctx));
    await change(ctx, { type: 'reschedule', scheduledAt }, 'PATCH /v1/orders/{id}/schedule');
  });

  return router;
}

function pathId(ctx: Context): OrderId {
  // An id that no order can have is simply not there.
  const parsed = orderId.safeParse(ctx.params.id);
  if (!parsed.success) throw new TiffinError('ORDER_NOT_FOUND', `there is no order '${ctx.params.id}'`);
  return parsed.data;
}

function placed(order: Order) {
  return {
    status: 201,
    headers: { Location: `/orders/${order.id}`, ETag: etag(order.version) },
    body: toScheduledOrder(order),
  };
}

function changed(order: Order) {
  return { status: 200, headers: { ETag: etag(order.version) }, body: toListedOrder(order) };
}

/** The words of the scheduled-orders dialect for an order's status. */
function scheduledStatus(order: Order): 'CREATED' | 'PROCESSING' | 'COMPLETED' | 'FAILED' {
  switch (order.status) {
    case 'CREATED':
      return 'CREATED';
    case 'COMPLETED':
    case 'DELIVERED':
      return 'COMPLETED';
    case 'FAILED':
    case 'REJECTED':
    case 'CANCELLED':
      return 'FAILED';
    default:
      return 'PROCESSING';
  }
}

function toScheduledOrder(order: Order) {
  return {
    id: order.id,
    orderId: order.id,
    customer_name: order.customerName,
    total_price: toDecimal(order.total.minor),
    status: scheduledStatus(order),
    ...('reason' in order && order.reason ? { reason: order.reason } : {}),
    ...(order.scheduledAt === undefined ? {} : { scheduled_time: toRfc3339(order.scheduledAt) }),
    created_at: toRfc3339(order.createdAt),
  };
}

function toListedOrder(order: Order) {
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
