/** Shared by the order routes of all dialects: parses an order id, checks access, and sends the result of a placement. */
import type { Context } from 'koa';
import { TiffinError, unreachable } from '../../../../domain/errors.ts';
import type { Order, OrderId } from '../../../../domain/order.ts';
import type { PlaceResult } from '../../../../service/orders/place-order.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import type { StoredResponse } from '../../../../service/ports.ts';
import { mayReach, type Principal } from '../../principal.ts';
import { send, sendAgain } from '../../request-headers.ts';
import { orderId } from './order-schemas.ts';

/** Parses the order id of a path; throws ORDER_NOT_FOUND for a malformed one, too. */
export function orderIdOf(text: string): OrderId {
  const parsed = orderId.safeParse(text);
  if (!parsed.success) throw orderNotFound(text);
  return parsed.data;
}

/** Throws ORDER_NOT_FOUND also for an order of another principal, whose existence stays hidden. */
export async function findOrder(orders: OrderStore, principal: Principal, id: OrderId): Promise<Order> {
  const [order] = await orders.find([id]);
  if (!order || !mayReach(principal, order)) throw orderNotFound(id);
  return order;
}

/** Like findOrder, before a change. An order's owner never changes, so no lock is needed; an operator needs no query. */
export async function assertReachable(orders: OrderStore, principal: Principal, id: OrderId): Promise<void> {
  if (!principal.roles.includes('operator')) await findOrder(orders, principal, id);
}

/** The customer of an order that the principal places: its own subject if it is a customer, otherwise undefined. */
export function customerOf({ subject, roles }: Principal): string | undefined {
  return roles.includes('operator') || !roles.includes('customer') ? undefined : subject;
}

/** Sends the result of a placement; `placed` builds the response to a new order, `fingerprint` is the request's. */
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
