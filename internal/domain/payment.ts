/** The money of one order: what must happen to it next, given how the order stands, and what it is after that. */
import type { Order, OrderId, OrderStatus } from './order.ts';

export type PaymentState = 'PENDING' | 'AUTHORIZED' | 'FAILED' | 'CAPTURED' | 'VOIDED' | 'REFUNDED';
export type PaymentStep = 'authorize' | 'capture' | 'void' | 'refund';

/** Amounts are minor units, times epoch ms. */
export interface Payment {
  readonly orderId: OrderId;
  readonly currency: string;
  readonly state: PaymentState;
  readonly version: number;
  readonly requestedMinor: number;
  readonly authorizedMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  readonly authorizationId?: string;
  /** Why it was declined. */
  readonly reason?: string;
  /** Times the step under way was tried without an answer. */
  readonly attempts: number;
  readonly requestedAt: number;
  readonly authorizedAt?: number;
  readonly capturedAt?: number;
  readonly voidedAt?: number;
  readonly refundedAt?: number;
}
