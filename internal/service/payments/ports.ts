/** The ports of payments: the external provider, and the stored payments. A method with a `tx` runs in that transaction. */
import type { Money } from '../../domain/money.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Payment, PaymentAnswer, PaymentStep } from '../../domain/payment.ts';
import type { Transaction } from '../ports.ts';

export interface PaymentRequest {
  readonly orderId: OrderId;
  readonly step: PaymentStep;
  readonly amount: Money;
  /** The token of the payment method to authorize; absent if the provider knows the customer's. */
  readonly token?: string | undefined;
  /** The authorization to capture, void or refund. */
  readonly authorizationId?: string | undefined;
  /** The idempotency key of the authorization to abandon. */
  readonly authorizationKey?: string | undefined;
  /** Unique for order and step; a repeated request under it has no further effect and gets the same answer. */
  readonly idempotencyKey: string;
}

export interface PaymentProvider {
  /**
   * Carries out a step. Throws UNAVAILABLE if no answer arrived; the step may or may not have taken effect. Abandoning an
   * authorization voids it if it was granted, and makes the provider refuse it if its request arrives later.
   */
  carryOut(request: PaymentRequest): Promise<PaymentAnswer>;
}

export interface Payments {
  /** Orders without a payment are absent from the result. */
  find(orderIds: readonly OrderId[]): Promise<Map<OrderId, Payment>>;
  /** Reads and locks payments in id order; orders without one are absent from the result. */
  lock(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Payment>>;
  /** Stores new payments, and changes of locked ones. */
  save(tx: Transaction, payments: readonly Payment[]): Promise<void>;
}
