/** The ports of payments: the provider outside, and the ledger. Methods with a `tx` take part in that transaction. */
import type { Money } from '../../domain/money.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Payment, PaymentAnswer, PaymentStep } from '../../domain/payment.ts';
import type { Transaction } from '../ports.ts';

export interface PaymentRequest {
  readonly orderId: OrderId;
  readonly step: PaymentStep;
  readonly amount: Money;
  /** What to charge; the provider knows the customer where it is absent. */
  readonly token?: string | undefined;
  /** The one to capture, void or refund. */
  readonly authorizationId?: string | undefined;
  /** The one to abandon, by the key it was asked for under. */
  readonly authorizationKey?: string | undefined;
  /** Names this step of this order: asked again under it, the provider does nothing more and answers the same. */
  readonly idempotencyKey: string;
}

export interface PaymentProvider {
  /**
   * Throws UNAVAILABLE where no answer came, which says nothing of whether it was done. An authorization that was abandoned
   * is voided where it was granted, and is not granted any more where it was not, however late the request for it arrives.
   */
  carryOut(request: PaymentRequest): Promise<PaymentAnswer>;
}

export interface Payments {
  find(orderIds: readonly OrderId[]): Promise<Map<OrderId, Payment>>;
  /** Locks them in id order. */
  lock(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Payment>>;
  /** New ones, and changes of those that are locked. */
  save(tx: Transaction, payments: readonly Payment[]): Promise<void>;
}
