/** Places an order with items for a route of any dialect. */
import type { Context } from 'koa';
import { TiffinError } from '../../../../domain/errors.ts';
import type { Order, OrderContent, OrderId } from '../../../../domain/order.ts';
import {
  type ComposeDeps,
  composeContent,
  type OrderDraft,
} from '../../../../service/orders/compose-order.ts';
import type { PlaceOrder, PlaceResult } from '../../../../service/orders/place-order.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import type { IdempotencyKey, StoredResponse, Transactions } from '../../../../service/ports.ts';
import type { Principal } from '../../principal.ts';
import { fingerprintOf, idempotencyKey, sendAgain, traceparent } from '../../request-headers.ts';
import { answerPlacement, customerOf } from './order-answers.ts';

export interface PlaceItemsDeps extends ComposeDeps {
  readonly orders: Pick<OrderStore, 'find'>;
  readonly transactions: Transactions;
  readonly place: (command: PlaceOrder) => Promise<PlaceResult>;
  readonly newOrderId: () => string;
}

export interface ItemsRequest {
  /** Names the route, for idempotency keys. */
  readonly operation: string;
  /** The parsed request, from which its fingerprint is computed. */
  readonly body: object;
  readonly draft: Omit<OrderDraft, 'id'> & { readonly id?: OrderId | undefined };
  readonly scheduledAt?: number | undefined;
  readonly placed: (order: Order) => Omit<StoredResponse, 'fingerprint'>;
}

export async function placeItems(
  deps: PlaceItemsDeps,
  ctx: Context,
  principal: Principal,
  { operation, body, draft, scheduledAt, placed }: ItemsRequest,
): Promise<void> {
  const customer = customerOf(principal);
  if (customer !== undefined && draft.customerId !== undefined && draft.customerId !== customer)
    throw new TiffinError('FORBIDDEN', `'${customer}' may place orders only for itself`);
  const customerId = customer ?? draft.customerId;
  const fingerprint = customer === undefined ? fingerprintOf(body) : fingerprintOf(body, customer);
  const key = idempotencyKey(ctx, principal, operation, fingerprint);
  const ownDraft = { ...draft, ...(customerId === undefined ? {} : { customerId }) };
  const content = await contentOf(deps, ownDraft).catch(async (error) => {
    const answer = key && (await storedResponse(deps, key));
    if (!answer) throw error;
    sendAgain(ctx, answer);
  });
  if (!content) return;
  const result = await deps.place({
    content,
    scheduledAt,
    fingerprint,
    origin: { producer: 'order-service', traceparent: traceparent(ctx) },
    idempotency: key && { key, answer: placed },
  });
  answerPlacement(ctx, result, placed, fingerprint);
}

/** Composes the order. A retry under the same order id keeps the stored prices, even if the catalogue has changed. */
async function contentOf(
  deps: PlaceItemsDeps,
  { id, ...draft }: ItemsRequest['draft'],
): Promise<OrderContent> {
  const [existing] = id === undefined ? [] : await deps.orders.find([id]);
  if (!existing) return composeContent(deps, { ...draft, id: id ?? (deps.newOrderId() as OrderId) });
  const { lines: _, currency: __, ...rest } = draft;
  const { items, total, price } = existing;
  return { ...rest, id: existing.id, items, total, ...(price ? { price } : {}) };
}

/** The stored response of an earlier identical request, which may have succeeded before the catalogue changed. */
async function storedResponse(
  { transactions }: PlaceItemsDeps,
  key: IdempotencyKey,
): Promise<StoredResponse | undefined> {
  const answer = await transactions.run((tx) => tx.idempotency.find(key));
  return answer?.fingerprint === key.fingerprint ? answer : undefined;
}

/** The fields of a camelCase body that the order stores unchanged. */
export function unchangedFields(body: {
  id?: OrderId | undefined;
  customerId: string;
  currency?: string | undefined;
  specialInstructions?: string | undefined;
  contact?: { name?: string | undefined; phone?: string | undefined } | undefined;
  payment?: { token: string } | undefined;
}) {
  const { id, customerId, currency, specialInstructions, contact, payment } = body;
  return {
    customerId,
    ...(id ? { id } : {}),
    ...(currency ? { currency } : {}),
    ...(specialInstructions ? { specialInstructions } : {}),
    ...(contact
      ? {
          contact: {
            ...(contact.name ? { name: contact.name } : {}),
            ...(contact.phone ? { phone: contact.phone } : {}),
          },
        }
      : {}),
    ...(payment ? { paymentToken: payment.token } : {}),
  };
}
