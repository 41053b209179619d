/** A simulated payment provider for trials and tests: its answer depends on the payment token, and no money moves. */
import { TiffinError } from '../../domain/errors.ts';
import type { PaymentAnswer } from '../../domain/payment.ts';
import type { PaymentProvider } from '../../service/payments/ports.ts';

/** Stored authorizations that were abandoned or whose answer changes between requests. */
const REMEMBERED = 10_000;
const FLAKY_FAILURES = 3;

/**
 * The result of an authorization by its token:
 * - `tok_approve`, any other token, or none: approved;
 * - `tok_decline`: declined with CARD_DECLINED;
 * - `tok_timeout`: approved, but the first answer is lost;
 * - `tok_flaky`: unavailable three times, then approved;
 * - `tok_pending`: pending at first, approved on the next request.
 *
 * The state of the last three kinds, and of abandoned authorizations, is in memory: the last ten thousand, lost at a
 * restart. All other answers depend on the request alone.
 */
export function simulatedPayments({ remembered = REMEMBERED } = {}): PaymentProvider {
  const attempts = lastOf<number>(remembered);
  const abandoned = lastOf<true>(remembered);

  function authorize(key: string, token: string | undefined): PaymentAnswer {
    if (abandoned.get(key)) return { outcome: 'declined', reason: 'ABANDONED' };
    const approved = { outcome: 'done', authorizationId: `sim_${key}` } as const;
    const earlierAttempts = () => {
      const before = attempts.get(key) ?? 0;
      attempts.set(key, before + 1);
      return before;
    };
    switch (token) {
      case 'tok_decline':
        return { outcome: 'declined', reason: 'CARD_DECLINED' };
      case 'tok_timeout':
        if (earlierAttempts() < 1) throw noAnswer('the answer was lost');
        return approved;
      case 'tok_flaky':
        if (earlierAttempts() < FLAKY_FAILURES) throw noAnswer('the provider fails three times');
        return approved;
      case 'tok_pending':
        return earlierAttempts() < 1 ? { outcome: 'pending' } : approved;
      default:
        return approved;
    }
  }

  return {
    async carryOut({ step, token, idempotencyKey, authorizationKey }) {
      if (step === 'authorize') return authorize(idempotencyKey, token);
      if (step === 'abandon' && authorizationKey) abandoned.set(authorizationKey, true);
      return { outcome: 'done' };
    },
  };
}

function noAnswer(reason: string): TiffinError {
  return new TiffinError('UNAVAILABLE', `simulated: ${reason}`);
}

/** A map of limited size that drops the entry that was set least recently. */
function lastOf<T>(size: number) {
  const entries = new Map<string, T>();
  return {
    get: (key: string) => entries.get(key),
    set(key: string, value: T) {
      entries.delete(key);
      entries.set(key, value);
      const [oldest] = entries.keys();
      if (entries.size > size && oldest !== undefined) entries.delete(oldest);
    },
  };
}
