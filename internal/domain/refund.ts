/** What a customer gets back: of an order that has ended without success, and of one that would be cancelled now. */
import type { Order } from './order.ts';
import { decide, evolve } from './order-decisions.ts';
import { nextStep, type PaymentState } from './payment.ts';

export interface Refund {
  /** PENDING: it is still to be given back. A payment that was only authorized is released. */
  readonly state: 'NONE' | 'PENDING' | 'DONE';
  readonly minor: number;
}

/** A payment is always one of the whole total, and is given back whole. */
export function refundOf(payment: PaymentState | undefined, order: Order): Refund {
  if (payment === 'VOIDED' || payment === 'REFUNDED') return { state: 'DONE', minor: order.total.minor };
  return payment && isGivenBack(payment, order)
    ? { state: 'PENDING', minor: order.total.minor }
    : { state: 'NONE', minor: 0 };
}

/** Minor units that would not be given back if the order was cancelled now; undefined if it cannot be cancelled. */
export function costOfCancelling(payment: PaymentState | undefined, order: Order): number | undefined {
  const decision = decide({ type: 'cancel' }, order, order.updatedAt);
  if ('refused' in decision || decision.events.length === 0) return undefined;
  const cancelled = decision.events.reduce<Order>(evolve, order);
  const holdsMoney = payment === 'PENDING' || payment === 'AUTHORIZED' || payment === 'CAPTURED';
  return holdsMoney && !isGivenBack(payment, cancelled) ? order.total.minor : 0;
}

function isGivenBack(state: PaymentState, order: Order): boolean {
  const step = nextStep({ state }, order);
  return step === 'abandon' || step === 'void' || step === 'refund';
}
