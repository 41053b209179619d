/** The payment of one order: its next step given the order's status, and its state after a step. */
import { fact, type Origin } from './announce.ts';
import { unreachable } from './errors.ts';
import type { Event } from './events.ts';
import { toDecimalText } from './money.ts';
import type { Order, OrderId } from './order.ts';
import { type Backoff, backoffMs } from './retry.ts';

export type PaymentState = 'PENDING' | 'AUTHORIZED' | 'FAILED' | 'CAPTURED' | 'VOIDED' | 'REFUNDED';
/** To abandon is to make sure that an authorization with an unknown outcome holds no money. */
export type PaymentStep = 'authorize' | 'abandon' | 'capture' | 'void' | 'refund';

/** The reason of a payment that is FAILED because its order ended before the authorization; no money moved. */
export const ABANDONED = 'ABANDONED';
const RETRY: Backoff = { firstMs: 2_000, longestMs: 60_000 };

/** Amounts are minor units, times epoch ms. */
export interface Payment {
  readonly orderId: OrderId;
  readonly currency: string;
  readonly state: PaymentState;
  /** 0 for a new payment, plus one for every change. */
  readonly version: number;
  readonly requestedMinor: number;
  readonly authorizedMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  readonly authorizationId?: string | undefined;
  /** Why the payment is FAILED. */
  readonly reason?: string | undefined;
  /** Attempts at the next step that gave no final answer. */
  readonly attempts: number;
  readonly requestedAt: number;
  readonly authorizedAt?: number;
  readonly capturedAt?: number;
  readonly voidedAt?: number;
  readonly refundedAt?: number;
}

/** The provider's answer to a step. */
export type PaymentAnswer =
  /** An authorization has an id; the other steps have none. */
  | { readonly outcome: 'done'; readonly authorizationId?: string | undefined }
  /** Only an authorization can be declined; `reason` is a word such as CARD_DECLINED. */
  | { readonly outcome: 'declined'; readonly reason: string }
  /** Not decided yet: a webhook or a retry brings the answer. */
  | { readonly outcome: 'pending' };

/** The provider did not answer, so the step may or may not have taken effect. */
export type NoAnswer = { readonly outcome: 'none' };

/**
 * The next step of a payment; undefined if the payment matches the order's status. The first step follows when the order's
 * items are reserved (`isReserved`). If the order has failed or was rejected or cancelled by then, the authorization is
 * abandoned: a process may have requested it and died before it stored the payment.
 */
export function nextStep(
  payment: Pick<Payment, 'state'> | undefined,
  order: Order,
  isReserved = false,
): PaymentStep | undefined {
  if (!payment && !(isReserved && isPayable(order))) return undefined;
  const state = payment?.state ?? 'PENDING';
  switch (state) {
    case 'PENDING':
      return isDroppedOut(order) ? 'abandon' : 'authorize';
    case 'AUTHORIZED':
      if (isDroppedOut(order)) return 'void';
      return order.status === 'DELIVERED' || order.status === 'COMPLETED' ? 'capture' : undefined;
    case 'CAPTURED':
      return isDroppedOut(order) ? 'refund' : undefined;
    case 'FAILED':
    case 'VOIDED':
    case 'REFUNDED':
      return undefined;
    default:
      return unreachable(state);
  }
}

/** An order without items is never charged. */
function isPayable(order: Order): boolean {
  return order.items.length > 0 && order.total.minor > 0 && order.status !== 'CREATED';
}

function isDroppedOut({ status }: Order): boolean {
  return status === 'FAILED' || status === 'REJECTED' || status === 'CANCELLED';
}

/** The payment of an order before its first step. */
export function newPayment({ id, total }: Order, now: number): Payment {
  return {
    orderId: id,
    currency: total.currency,
    state: 'PENDING',
    version: 0,
    requestedMinor: total.minor,
    authorizedMinor: 0,
    capturedMinor: 0,
    refundedMinor: 0,
    attempts: 0,
    requestedAt: now,
  };
}

/** The payment after the provider's answer to a step. Throws an Error if the provider declines anything but an authorization. */
export function afterStep(
  payment: Payment,
  step: PaymentStep,
  answer: PaymentAnswer | NoAnswer,
  now: number,
): Payment {
  const changed = { ...payment, version: payment.version + 1 };
  switch (answer.outcome) {
    case 'none':
    case 'pending':
      return { ...changed, attempts: payment.attempts + 1 };
    case 'declined':
      if (step === 'authorize') return { ...changed, state: 'FAILED', reason: answer.reason, attempts: 0 };
      throw new Error(`the provider refuses to ${step} the payment of ${payment.orderId}: ${answer.reason}`);
    case 'done':
      return { ...changed, ...whenDone(payment, step, answer.authorizationId, now), attempts: 0 };
    default:
      return unreachable(answer);
  }
}

function whenDone(
  payment: Payment,
  step: PaymentStep,
  authorizationId: string | undefined,
  now: number,
): Partial<Payment> {
  switch (step) {
    case 'authorize':
      if (!authorizationId) throw new TypeError('an authorization without an id cannot be captured');
      return {
        state: 'AUTHORIZED',
        authorizedMinor: payment.requestedMinor,
        authorizationId,
        authorizedAt: now,
        reason: undefined,
      };
    case 'abandon':
      return { state: 'FAILED', reason: ABANDONED };
    case 'capture':
      return { state: 'CAPTURED', capturedMinor: payment.authorizedMinor, capturedAt: now };
    case 'void':
      return { state: 'VOIDED', voidedAt: now };
    case 'refund':
      return { state: 'REFUNDED', refundedMinor: payment.capturedMinor, refundedAt: now };
    default:
      return unreachable(step);
  }
}

/**
 * The payment after a webhook with the outcome of its authorization; the same object if nothing changes. A granted
 * authorization is recorded even for a FAILED payment, so that the next step can void it.
 */
export function afterNotice(
  payment: Payment,
  notice: Exclude<PaymentAnswer, { outcome: 'pending' }>,
  now: number,
): Payment {
  const { state } = payment;
  const isNew = state === 'PENDING' || (state === 'FAILED' && notice.outcome === 'done');
  return isNew ? afterStep(payment, 'authorize', notice, now) : payment;
}

/** Milliseconds until the next attempt at a step; 0 for a step that has not been tried. */
export function retryDelayMs(attempts: number): number {
  return attempts === 0 ? 0 : backoffMs(attempts, RETRY);
}

/** The event for a payment's new state; undefined if the state is unchanged. */
export function announcePayment(
  before: Payment | undefined,
  payment: Payment,
  origin: Origin & { eventId: string; at: number },
): Event | undefined {
  const { orderId, currency, authorizationId = '', reason = '' } = payment;
  const paid = (minor: number) => ({ amount: toDecimalText(minor), currency });
  if (payment.state === before?.state) return undefined;
  switch (payment.state) {
    case 'PENDING':
      return fact('payment.pending', orderId, paid(payment.requestedMinor), origin);
    case 'AUTHORIZED':
      return fact(
        'payment.authorized',
        orderId,
        { ...paid(payment.authorizedMinor), authorizationId },
        origin,
      );
    case 'FAILED':
      return fact('payment.failed', orderId, { reason }, origin);
    case 'CAPTURED':
      return fact('payment.captured', orderId, paid(payment.capturedMinor), origin);
    case 'VOIDED':
      return fact('payment.voided', orderId, paid(payment.authorizedMinor), origin);
    case 'REFUNDED':
      return fact('payment.refunded', orderId, paid(payment.refundedMinor), origin);
    default:
      return unreachable(payment.state);
  }
}
