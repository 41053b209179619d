/** What every dialect's order routes share: the order that a path names, whom it is shown to, and the answer to a placement. */
import type { Context } from 'koa';
import { TiffinError, unreachable } from '../../../../domain/errors.ts';
import type { Order, OrderId } from '../../../../domain/order.ts';
import type { PlaceResult } from '../../../../service/orders/place-order.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import type { StoredResponse } from '../../../../service/ports.ts';
import { mayReach, type Principal } from '../../principal.ts';
import { send, sendAgain } from '../../request-headers.ts';
import { orderId } from './order-schemas.ts';

/** The order id of a path. One that no order can have is simply not there: throws ORDER_NOT_FOUND. */
export function orderIdOf(text: string): OrderId {
  const parsed = orderId.safeParse(text);
  if (!parsed.success) throw orderNotFound(text);
  return parsed.data;
}

/** Throws ORDER_NOT_FOUND also where the order is someone else's: that it exists is not theirs to know. */
export async function findOrder(orders: OrderStore, principal: Principal, id: OrderId): Promise<Order> {
  const [order] = await orders.find([id]);
  if (!order || !mayReach(principal, order)) throw orderNotFound(id);
  return order;
}

/** As findOrder, before a change. Whose an order is never changes, so it need not be locked for that; an operator's change costs no query. */
export async function assertReachable(orders: OrderStore, principal: Principal, id: OrderId): Promise<void> {
  if (!principal.roles.includes('operator')) await findOrder(orders, principal, id);
}

/** Whose an order becomes that the principal places: its own where it is a customer, else nobody's in particular. */
export function customerOf({ subject, roles }: Principal): string | undefined {
  return roles.includes('operator') || !roles.includes('customer') ? undefined : subject;
}

/** Sends what became of a placement; `placed` is the answer to a new order, `fingerprint` the request's. */
export function answerPlacement(
  ctx: Context,
  result: PlaceResult,
  placed: (order: Order) => Omit<StoredResponse, 'fingerprint'>,
  fingerprint: string,
): void {
  switch (result.outcome) {
    case 'placed':
      send(ctx, placed(result.order));
      break;
    case 'repeated':
      sendAgain(ctx, { ...placed(result.order), fingerprint });
      break;
    case 'answered':
      sendAgain(ctx, result.answer);
      break;
    case 'refused':
      throw result.error;
    default:
      unreachable(result);
  }
}

export function orderNotFound(id: string): TiffinError {
  return new TiffinError('ORDER_NOT_FOUND', `there is no order '${id}'`);
}
