/** A payment provider that charges nobody: what it answers follows from the token, for trying Tiffin out and for tests. */
import { TiffinError } from '../../domain/errors.ts';
import type { PaymentAnswer } from '../../domain/payment.ts';
import type { PaymentProvider } from '../../service/payments/ports.ts';

/** Orders whose authorization took more than one answer, or was abandoned, that are remembered. */
const REMEMBERED = 10_000;
const FLAKY_FAILURES = 3;

/**
 * The tokens, by what an authorization with one comes to:
 * - `tok_approve`, any other, or none: approved;
 * - `tok_decline`: declined with CARD_DECLINED;
 * - `tok_timeout`: charged, but the first answer is lost;
 * - `tok_flaky`: no answer three times, then approved;
 * - `tok_pending`: pending at first, approved when asked again.
 *
 * It remembers in memory, and only the last ten thousand of the authorizations that are not answered alike each time: after
 * a restart such a token begins anew. All else follows from the request alone.
 */
export function simulatedPayments({ remembered = REMEMBERED } = {}): PaymentProvider {
  const asked = lastOf<number>(remembered);
  const abandoned = lastOf<true>(remembered);

  function authorize(key: string, token: string | undefined): PaymentAnswer {
    if (abandoned.get(key)) return { outcome: 'declined', reason: 'ABANDONED' };
    const approved = { outcome: 'done', authorizationId: `sim_${key}` } as const;
    const times = () => {
      const before = asked.get(key) ?? 0;
      asked.set(key, before + 1);
      return before;
    };
    switch (token) {
      case 'tok_decline':
        return { outcome: 'declined', reason: 'CARD_DECLINED' };
      case 'tok_timeout':
        if (times() < 1) throw noAnswer('the answer was lost');
        return approved;
      case 'tok_flaky':
        if (times() < FLAKY_FAILURES) throw noAnswer('the provider is not well');
        return approved;
      case 'tok_pending':
        return times() < 1 ? { outcome: 'pending' } : approved;
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

function noAnswer(why: string): TiffinError {
  return new TiffinError('UNAVAILABLE', `simulated: ${why}`);
}

/** A map that forgets what was not set for longest. */
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
