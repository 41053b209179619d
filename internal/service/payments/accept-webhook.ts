/** Records a payment provider's webhook: the outcome of an authorization that was pending. */
import type { Origin } from '../../domain/announce.ts';
import { TiffinError } from '../../domain/errors.ts';
import type { OrderId } from '../../domain/order.ts';
import { afterNotice, announcePayment, nextStep, type PaymentAnswer } from '../../domain/payment.ts';
import type { Clock, Log, Transactions } from '../ports.ts';
import { setTimers, type TimerDeps } from '../scheduling/set-timers.ts';
import type { Payments } from './ports.ts';

export interface NoticeDeps extends TimerDeps {
  readonly transactions: Transactions;
  readonly payments: Payments;
  readonly clock: Clock;
  readonly log: Log;
  readonly newEventId: () => string;
}

export interface PaymentNotice {
  readonly orderId: OrderId;
  readonly answer: Exclude<PaymentAnswer, { outcome: 'pending' }>;
  readonly origin: Origin;
}

/**
 * Applies the outcome to the payment; an outcome that is already recorded changes nothing. Throws PAYMENT_NOT_FOUND, also
 * for a payment whose authorization is in progress and not stored yet; the provider then retries the webhook.
 */
export async function acceptPaymentNotice(
  deps: NoticeDeps,
  { orderId, answer, origin }: PaymentNotice,
): Promise<void> {
  let afterwards: (() => Promise<void>)[] = [];
  await deps.transactions.run(async (tx) => {
    afterwards = [];
    const order = (await tx.lockOrders([orderId])).get(orderId);
    const before = order && (await deps.payments.lock(tx, [orderId])).get(orderId);
    if (!before) throw new TiffinError('PAYMENT_NOT_FOUND', `order '${orderId}' has no payment`);
    const now = deps.clock.now();
    const payment = afterNotice(before, answer, now);
    if (payment === before) return;
    await deps.payments.save(tx, [payment]);
    const event = announcePayment(before, payment, { ...origin, eventId: deps.newEventId(), at: now });
    await tx.appendEvents(event ? [event] : []);
    // The order may have ended while the authorization was pending; the timer then runs the next step.
    if (nextStep(payment, order))
      await setTimers(deps, tx, [{ kind: 'payment', orderId, dueAt: now }], (work) => afterwards.push(work));
  });
  for (const work of afterwards)
    await work().catch((err) =>
      deps.log.warn(
        { order: orderId, err },
        'a timer could not be added to the due queue; the reconciler adds it',
      ),
    );
}
