/** The routes that change an order at its customer's or an operator's request: cancel and reschedule. */
import type { Context } from 'koa';
import type { Order, OrderId } from '../../../../domain/order.ts';
import type { OrderCommand } from '../../../../domain/order-decisions.ts';
import { type ChangeDeps, changeOrder } from '../../../../service/orders/change-order.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import type { StoredResponse } from '../../../../service/ports.ts';
import type { Principal } from '../../principal.ts';
import {
  etag,
  fingerprintOf,
  idempotencyKey,
  ifMatch,
  send,
  sendAgain,
  traceparent,
} from '../../request-headers.ts';
import { type Answer, type Route, route } from '../../route.ts';
import { assertReachable, orderIdOf } from './order-answers.ts';
import { cancelBody, rescheduleBody } from './order-schemas.ts';
import { listedOrder, toListedOrder } from './presenters.ts';

const OWN_ORDERS = { roles: ['customer', 'operator'] } as const;

export interface ChangeRouteDeps extends ChangeDeps {
  readonly orders: OrderStore;
  /** How often an order may be rescheduled. */
  readonly maxReschedules: number;
}

export function changeRoutes(deps: ChangeRouteDeps): Route[] {
  const answers: Record<number, Answer> = {
    200: { description: 'The changed order', schema: listedOrder, headers: ['ETag'] },
    404: { description: 'There is no such order, or it is someone else’s' },
    409: { description: 'The order’s status no longer allows this change, or it was rescheduled too often' },
  };
  async function change(ctx: Context, principal: Principal, given: string, command: OrderCommand) {
    const id = orderIdOf(given);
    await assertReachable(deps.orders, principal, id);
    await answerChange(deps, ctx, { id, command, principal, changed: toListedOrder });
  }

  return [
    route({
      method: 'POST',
      path: '/v1/orders/:id/cancel',
      access: OWN_ORDERS,
      tag: 'Orders',
      summary: 'Cancels an order that has not ended',
      body: cancelBody,
      bodyOptional: true,
      headers: ['Idempotency-Key', 'If-Match'],
      answers,
      handle: (ctx, { params, body, principal }) => change(ctx, principal, params.id, toCancel(body)),
    }),
    route({
      method: 'PATCH',
      path: '/v1/orders/:id/schedule',
      access: OWN_ORDERS,
      tag: 'Orders',
      summary: 'Reschedules an order that has not been dispatched',
      body: rescheduleBody(() => deps.clock.now()),
      headers: ['If-Match'],
      answers,
      handle: (ctx, { params, body, principal }) =>
        change(ctx, principal, params.id, toReschedule(deps, body)),
    }),
  ];
}

export function toCancel(body: { readonly reason?: string | undefined } | undefined): OrderCommand {
  return { type: 'cancel', ...(body?.reason ? { reason: body.reason } : {}) };
}

export function toReschedule(
  { maxReschedules }: ChangeRouteDeps,
  { scheduledAt }: { readonly scheduledAt: number },
): OrderCommand {
  return { type: 'reschedule', scheduledAt, atMost: maxReschedules };
}

/** Applies the command, once for an idempotency key, and answers with what `changed` shows of the order. */
export async function answerChange(
  deps: ChangeDeps,
  ctx: Context,
  request: {
    readonly id: OrderId;
    readonly command: OrderCommand;
    /** Whose idempotency key it is. */
    readonly principal: Principal;
    readonly changed: (order: Order) => unknown;
  },
): Promise<void> {
  const { id, command, principal } = request;
  const toAnswer = (order: Order): Omit<StoredResponse, 'fingerprint'> => ({
    status: 200,
    headers: { ETag: etag(order.version) },
    body: request.changed(order),
  });
  // Only POST is not idempotent by itself.
  const key =
    ctx.method === 'POST'
      ? idempotencyKey(ctx, principal, 'POST /v1/orders/{id}/cancel', fingerprintOf(id, command))
      : undefined;
  const result = await changeOrder(deps, {
    id,
    commands: () => [command],
    origin: { producer: 'order-service', traceparent: traceparent(ctx) },
    ifVersion: ifMatch(ctx),
    idempotency: key && { key, answer: toAnswer },
  });
  if ('answer' in result) sendAgain(ctx, result.answer);
  else send(ctx, toAnswer(result.result));
}
