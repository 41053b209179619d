/** The routes of payments: an order's ledger, and the payment provider's signed webhook. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import { toDecimal } from '../../../../domain/money.ts';
import type { Payment } from '../../../../domain/payment.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import { acceptPaymentNotice, type NoticeDeps } from '../../../../service/payments/accept-webhook.ts';
import { PRODUCER } from '../../../../service/payments/settle-payments.ts';
import { parseJson, readText } from '../../body.ts';
import { traceparent } from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { findOrder, orderIdOf } from '../orders/order-answers.ts';
import { orderId, textOf } from '../orders/order-schemas.ts';

/** Maximum age of a webhook, and how far the provider's clock may be ahead, seconds. */
const TOLERANCE_S = 300;
const TAG = 'Payments';

const time = z.string().meta({ format: 'date-time' });
const payment = z
  .object({
    orderId: z.string(),
    state: z.enum(['PENDING', 'AUTHORIZED', 'FAILED', 'CAPTURED', 'VOIDED', 'REFUNDED']),
    reason: z.string().optional(),
    currency: z.string(),
    requested: z.number(),
    authorized: z.number(),
    captured: z.number(),
    refunded: z.number(),
    requestedAt: time,
    authorizedAt: time.optional(),
    capturedAt: time.optional(),
    voidedAt: time.optional(),
    refundedAt: time.optional(),
  })
  .meta({ id: 'Payment' });

const given = (longest: number) => textOf(longest).min(1, 'must not be empty');
const webhookBody = z.discriminatedUnion('status', [
  z.object({ status: z.literal('approved'), orderId, id: given(128) }),
  z.object({ status: z.literal('declined'), orderId, reason: given(256).default('DECLINED') }),
]);

export interface PaymentRouteDeps extends NoticeDeps {
  readonly orders: OrderStore;
}

/** Without a secret no webhook can be verified, so its route does not exist. */
export function paymentRoutes(deps: PaymentRouteDeps, webhookSecret: string | undefined): readonly Route[] {
  return [ledger(deps), ...(webhookSecret ? [webhook(deps, webhookSecret)] : [])];
}

function ledger({ orders, payments }: PaymentRouteDeps): Route {
  return route({
    method: 'GET',
    path: '/v1/orders/:id/payment',
    access: { roles: ['customer', 'operator'] },
    tag: TAG,
    summary: 'The payment of one order',
    answers: {
      200: { description: 'The payment’s state, amounts and times', schema: payment },
      404: { description: 'There is no such order, it is someone else’s, or it has no payment yet' },
    },
    async handle(ctx, { params, principal }) {
      const { id } = await findOrder(orders, principal, orderIdOf(params.id));
      const found = (await payments.find([id])).get(id);
      if (!found) throw new TiffinError('PAYMENT_NOT_FOUND', `order '${id}' has no payment`);
      ctx.body = toPayment(found);
    },
  });
}

/** The body's text is signed, and is verified before it is parsed. */
function webhook(deps: PaymentRouteDeps, secret: string): Route {
  return route({
    method: 'POST',
    path: '/webhooks/payments',
    access: 'anyone',
    tag: TAG,
    summary: 'Receives the result of a pending authorization from the payment provider',
    headers: ['Tiffin-Signature'],
    body: webhookBody,
    async read(ctx) {
      const body = await readText(ctx);
      const signature = ctx.get('Tiffin-Signature');
      if (!isSigned(body, signature, secret, Math.floor(deps.clock.now() / 1_000)))
        throw new TiffinError('INVALID_SIGNATURE', 'Tiffin-Signature is missing, wrong or out of date');
      return parseJson(body);
    },
    answers: {
      200: { description: 'The result was recorded, now or by an earlier request', schema: z.object({}) },
      400: { description: 'The signature is valid, but the body is not' },
      401: { description: 'The signature is missing or wrong, or is more than five minutes old' },
      404: { description: 'The order has no payment, or none yet: retry later' },
    },
    async handle(ctx, { body }) {
      await acceptPaymentNotice(deps, {
        orderId: body.orderId,
        answer:
          body.status === 'approved'
            ? { outcome: 'done', authorizationId: body.id }
            : { outcome: 'declined', reason: body.reason },
        origin: { producer: PRODUCER, traceparent: traceparent(ctx) },
      });
      ctx.body = {};
    },
  });
}

/** `t` is part of the signed text, which prevents replays. While a secret is being replaced there may be several `v1`. */
function isSigned(body: string, header: string, secret: string, nowS: number): boolean {
  const parts = header.split(',').map((part) => part.trim().split('='));
  const at = parts.find(([name]) => name === 't')?.[1] ?? '';
  if (!/^\d{1,12}$/.test(at) || Math.abs(nowS - Number(at)) > TOLERANCE_S) return false;
  const expected = createHmac('sha256', secret).update(`${at}.${body}`).digest();
  return parts.some(([name, hex = '']) => {
    const given = Buffer.from(hex, 'hex');
    return name === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

function toPayment(from: Payment): z.infer<typeof payment> {
  const at = (ms: number | undefined) => (ms === undefined ? undefined : toRfc3339(ms));
  return {
    orderId: from.orderId,
    state: from.state,
    reason: from.reason,
    currency: from.currency,
    requested: toDecimal(from.requestedMinor),
    authorized: toDecimal(from.authorizedMinor),
    captured: toDecimal(from.capturedMinor),
    refunded: toDecimal(from.refundedMinor),
    requestedAt: toRfc3339(from.requestedAt),
    authorizedAt: at(from.authorizedAt),
    capturedAt: at(from.capturedAt),
    voidedAt: at(from.voidedAt),
    refundedAt: at(from.refundedAt),
  };
}
