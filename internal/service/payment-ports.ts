/** The ports of payments: the provider outside, and the ledger. Methods with a `tx` take part in that transaction. */
import type { Money } from '../domain/money.ts';
import type { OrderId } from '../domain/order.ts';
import type { Payment, PaymentStep } from '../domain/payment.ts';
import type { Transaction } from './ports.ts';

export interface PaymentRequest {
  readonly orderId: OrderId;
  readonly step: PaymentStep;
  readonly amount: Money;
  /** What to charge; the provider knows the customer where it is absent. */
  readonly token?: string;
  /** The one to capture, void or refund. */
  readonly authorizationId?: string;
  /** Names this step of this order: asked again under it, the provider does nothing more and answers the same. */
  readonly idempotencyKey: string;
}

export type PaymentAnswer =
  /** Done; an authorization has an id, another step has none. */
  | { readonly outcome: 'done'; readonly authorizationId?: string }
  | { readonly outcome: 'declined'; readonly reason: string }
  /** Not known yet: a webhook will tell, or asking again. */
  | { readonly outcome: 'pending' };

export interface PaymentProvider {
  /** Throws UNAVAILABLE where no answer came, which says nothing of whether it was done. */
  carryOut(request: PaymentRequest): Promise<PaymentAnswer>;
}

export interface Payments {
  find(orderIds: readonly OrderId[]): Promise<Map<OrderId, Payment>>;
  /** Locks them in id order. */
  lock(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Payment>>;
  save(tx: Transaction, payments: readonly Payment[]): Promise<void>;
}
