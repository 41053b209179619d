/** The payment and the notification provider of a simulation, with books of their own. */
import type { PaymentAnswer } from '../../internal/domain/payment.ts';
import type { NotificationProvider } from '../../internal/service/notifications/ports.ts';
import type { PaymentProvider, PaymentRequest } from '../../internal/service/payments/ports.ts';
import type { Authorization } from '../chaos/providers.ts';
import type { Scheduler } from './scheduler.ts';

/** The token of a card that is declined. */
export const DECLINED = 'declined';

export function providers({ call }: Scheduler) {
  const authorizations = new Map<string, Authorization>();
  const answers = new Map<string, PaymentAnswer>();
  const abandoned = new Set<string>();
  const messages = new Map<string, { orderId: string; template: string }>();

  function carryOut(request: PaymentRequest): PaymentAnswer {
    const { orderId, step, amount, idempotencyKey, authorizationKey = '', authorizationId = '' } = request;
    const own = authorizations.get(authorizationId);
    switch (step) {
      case 'authorize': {
        if (request.token === DECLINED) return { outcome: 'declined', reason: 'CARD_DECLINED' };
        const id = `authorization of ${idempotencyKey}`;
        const books = { capturedMinor: 0, refundedMinor: 0, isVoided: false };
        authorizations.set(id, { orderId, authorizationId: id, authorizedMinor: amount.minor, ...books });
        return { outcome: 'done', authorizationId: id };
      }
      case 'abandon': {
        abandoned.add(authorizationKey);
        const granted = authorizations.get(`authorization of ${authorizationKey}`);
        if (granted) granted.isVoided = true;
        break;
      }
      case 'capture':
        if (own && !own.isVoided) own.capturedMinor += amount.minor;
        break;
      case 'void':
        if (own) own.isVoided = true;
        break;
      case 'refund':
        if (own) own.refundedMinor += amount.minor;
    }
    return { outcome: 'done' };
  }

  const paymentProvider: PaymentProvider = {
    carryOut: (request) =>
      call('payment', () => {
        if (abandoned.has(request.idempotencyKey)) return { outcome: 'declined', reason: 'ABANDONED' };
        const answer = answers.get(request.idempotencyKey) ?? carryOut(request);
        answers.set(request.idempotencyKey, answer);
        return answer;
      }),
  };
  const notificationProvider: NotificationProvider = {
    async send({ template, variables }, key) {
      try {
        const orderId = variables.orderId ?? '';
        await call('message', () => void messages.set(key, { orderId, template }));
        return { outcome: 'sent' };
      } catch (error) {
        return { outcome: 'unavailable', error: (error as Error).message };
      }
    },
  };
  return {
    ports: { paymentProvider, notificationProvider },
    authorizations: () => [...authorizations.values()],
    messages: () => [...messages.values()],
  };
}
