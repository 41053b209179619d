/** The money of one order: what must happen to it next, given how the order stands, and what it is after that. */
import { fact, type Origin } from './announce.ts';
import { unreachable } from './errors.ts';
import type { Event } from './events.ts';
import { toDecimalText } from './money.ts';
import type { Order, OrderId } from './order.ts';
import { type Backoff, backoffMs } from './retry.ts';

export type PaymentState = 'PENDING' | 'AUTHORIZED' | 'FAILED' | 'CAPTURED' | 'VOIDED' | 'REFUNDED';
/** To abandon is to see to it that an authorization whose answer is not known comes to nothing. */
export type PaymentStep = 'authorize' | 'abandon' | 'capture' | 'void' | 'refund';

/** Why a payment is FAILED that its order did not wait for; no money moved. */
const ABANDONED = 'ABANDONED';
const RETRY: Backoff = { firstMs: 2_000, longestMs: 60_000 };

/** Amounts are minor units, times epoch ms. */
export interface Payment {
  readonly orderId: OrderId;
  readonly currency: string;
  readonly state: PaymentState;
  /** Raised by one with every change; 0 before the first. */
  readonly version: number;
  readonly requestedMinor: number;
  readonly authorizedMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  readonly authorizationId?: string | undefined;
  /** Why it is FAILED. */
  readonly reason?: string | undefined;
  /** Times in a row that a step was tried without being settled. */
  readonly attempts: number;
  readonly requestedAt: number;
  readonly authorizedAt?: number;
  readonly capturedAt?: number;
  readonly voidedAt?: number;
  readonly refundedAt?: number;
}

/** What the provider says to a step. */
export type PaymentAnswer =
  /** An authorization has an id; the other steps have none. */
  | { readonly outcome: 'done'; readonly authorizationId?: string | undefined }
  /** Only an authorization can be declined: `reason` is in plain words such as CARD_DECLINED. */
  | { readonly outcome: 'declined'; readonly reason: string }
  /** Not known yet: a webhook will tell, or asking again. */
  | { readonly outcome: 'pending' };

export type NoAnswer = { readonly outcome: 'none' };

/**
 * What is to be done now; undefined where the money stands as the order does. Money is first asked for when the order's
 * items are reserved (`isReserved`). If the order has dropped out by then there may be an authorization all the same, asked
 * for by a process that died before it could write it down, so it is abandoned.
 */
export function nextStep(
  payment: Payment | undefined,
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

/** An order without items is not charged: nobody said what for. */
function isPayable(order: Order): boolean {
  return order.items.length > 0 && order.total.minor > 0 && order.status !== 'CREATED';
}

function isDroppedOut({ status }: Order): boolean {
  return status === 'FAILED' || status === 'REJECTED' || status === 'CANCELLED';
}

/** The payment of an order before anything is known of it. */
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

/** Throws where the provider refuses what it cannot decline: a fault that only a person can mend. */
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
 * The payment after the provider has said of itself what became of an authorization; the same one where that changes
 * nothing. Money that is held is always written down, even where the payment was taken for failed: then it is voided.
 */
export function afterNotice(
  payment: Payment,
  notice: Exclude<PaymentAnswer, { outcome: 'pending' }>,
  now: number,
): Payment {
  const { state } = payment;
  const matters = state === 'PENDING' || (state === 'FAILED' && notice.outcome === 'done');
  return matters ? afterStep(payment, 'authorize', notice, now) : payment;
}

/** When to try again what was not settled, from now on; at once what was not tried yet. */
export function retryDelayMs(attempts: number): number {
  return attempts === 0 ? 0 : backoffMs(attempts, RETRY);
}

/** The event that announces what the payment has become; undefined where no money moved and none was refused. */
export function announcePayment(
  before: Payment | undefined,
  payment: Payment,
  about: Origin & { eventId: string; at: number },
): Event | undefined {
  const { orderId, currency, authorizationId = '', reason = '' } = payment;
  const paid = (minor: number) => ({ amount: toDecimalText(minor), currency });
  if (payment.state === before?.state) return undefined;
  switch (payment.state) {
    case 'PENDING':
      return undefined;
    case 'AUTHORIZED':
      return fact(
        'payment.authorized',
        orderId,
        { ...paid(payment.authorizedMinor), authorizationId },
        about,
      );
    case 'FAILED':
      return reason === ABANDONED ? undefined : fact('payment.failed', orderId, { reason }, about);
    case 'CAPTURED':
      return fact('payment.captured', orderId, paid(payment.capturedMinor), about);
    case 'VOIDED':
      return fact('payment.voided', orderId, paid(payment.authorizedMinor), about);
    case 'REFUNDED':
      return fact('payment.refunded', orderId, paid(payment.refundedMinor), about);
    default:
      return unreachable(payment.state);
  }
}
