/** Places an order with items, whatever dialect it was asked for in. */
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

export interface Asked {
  /** Names the route, for idempotency keys. */
  readonly operation: string;
  /** What was asked for, as it was parsed: the same again is the same order. */
  readonly body: object;
  readonly draft: Omit<OrderDraft, 'id'> & { readonly id?: OrderId | undefined };
  readonly scheduledAt?: number | undefined;
  readonly placed: (order: Order) => Omit<StoredResponse, 'fingerprint'>;
}

export async function placeItems(
  deps: PlaceItemsDeps,
  ctx: Context,
  principal: Principal,
  { operation, body, draft, scheduledAt, placed }: Asked,
): Promise<void> {
  const customer = customerOf(principal);
  if (customer !== undefined && draft.customerId !== undefined && draft.customerId !== customer)
    throw new TiffinError('FORBIDDEN', `'${customer}' may order only for itself`);
  const customerId = customer ?? draft.customerId;
  const fingerprint = customer === undefined ? fingerprintOf(body) : fingerprintOf(body, customer);
  const key = idempotencyKey(ctx, principal, operation, fingerprint);
  const wanted = { ...draft, ...(customerId === undefined ? {} : { customerId }) };
  const content = await contentOf(deps, wanted).catch(async (error) => {
    const answer = key && (await answered(deps, key));
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

/** What was asked for before under the id that the client chose costs what it did then, whatever the catalogue says by now. */
async function contentOf(deps: PlaceItemsDeps, { id, ...draft }: Asked['draft']): Promise<OrderContent> {
  const [known] = id === undefined ? [] : await deps.orders.find([id]);
  if (!known) return composeContent(deps, { ...draft, id: id ?? (deps.newOrderId() as OrderId) });
  const { lines: _, currency: __, ...rest } = draft;
  const { items, total, price } = known;
  return { ...rest, id: known.id, items, total, ...(price ? { price } : {}) };
}

/** The answer to the same request, given when it could still be met. */
async function answered(
  { transactions }: PlaceItemsDeps,
  key: IdempotencyKey,
): Promise<StoredResponse | undefined> {
  const answer = await transactions.run((tx) => tx.idempotency.find(key));
  return answer?.fingerprint === key.fingerprint ? answer : undefined;
}

/** The parts of a camelCase body that the order keeps as they are. */
export function keptParts(body: {
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
