/** What every payment provider does: the simulated ones, and the client over HTTP with a provider that keeps books. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import type { PaymentProvider, PaymentRequest } from '../../internal/service/payments/ports.ts';
import { httpPayments } from '../../internal/transport/outbound/http-payments.ts';
import { simulatedPayments } from '../../internal/transport/outbound/simulated-payments.ts';
import { type Authorization, startPayments } from '../chaos/providers.ts';
import { providers } from '../simulation/providers.ts';
import { scheduler } from '../simulation/scheduler.ts';
import { within } from './worlds.ts';

interface Bank {
  readonly provider: PaymentProvider;
  /** Absent for a provider that moves no money. */
  readonly books?: () => readonly Authorization[];
  readonly declined: string;
}

/** Runs a test on a provider that nobody else uses. */
type World = (test: (bank: Bank) => Promise<void>) => Promise<void>;

const request = (id: string, step: PaymentRequest['step'], changes: Partial<PaymentRequest> = {}) => ({
  orderId: id as OrderId,
  step,
  amount: { minor: 1250, currency: 'USD' },
  idempotencyKey: `${id}:${step}`,
  ...changes,
});

export function paymentProviderContract(name: string, world: World): void {
  describe(name, { timeout: 60_000 }, () => {
    const holds = (sentence: string, check: (bank: Bank) => Promise<void>) =>
      it(sentence, () => world(check));
    const authorize = async ({ provider }: Bank, id: string) => {
      const answer = await provider.carryOut(request(id, 'authorize'));
      assert.equal(answer.outcome, 'done');
      return (answer.outcome === 'done' && answer.authorizationId) || '';
    };
    const sums = ({ books }: Bank) =>
      books?.().map(({ authorizedMinor, capturedMinor, refundedMinor, isVoided }) => [
        ...[authorizedMinor, capturedMinor, refundedMinor],
        isVoided,
      ]);

    holds(
      'one key is one authorization, however often it is asked for, and another key another',
      async (bank) => {
        const id = await authorize(bank, 'a');
        assert.notEqual(id, '');
        assert.equal(await authorize(bank, 'a'), id);
        assert.notEqual(await authorize(bank, 'b'), id);
        if (bank.books) assert.equal(bank.books().length, 2);
      },
    );

    holds('money is captured once and refunded once for each key', async (bank) => {
      const authorizationId = await authorize(bank, 'a');
      for (const step of ['capture', 'capture', 'refund', 'refund'] as const)
        assert.deepEqual(await bank.provider.carryOut(request('a', step, { authorizationId })), {
          outcome: 'done',
        });
      if (bank.books) assert.deepEqual(sums(bank), [[1250, 1250, 1250, false]]);
    });

    holds('a void releases the authorization, and may be repeated', async (bank) => {
      const authorizationId = await authorize(bank, 'a');
      for (let times = 0; times < 2; times++)
        await bank.provider.carryOut(request('a', 'void', { authorizationId }));
      if (bank.books) assert.deepEqual(sums(bank), [[1250, 0, 0, true]]);
    });

    holds(
      'an authorization that was abandoned is declined, whether it was granted before or arrives later',
      async (bank) => {
        await authorize(bank, 'a');
        for (const id of ['a', 'b']) {
          await bank.provider.carryOut(request(id, 'abandon', { authorizationKey: `${id}:authorize` }));
          const { outcome } = await bank.provider.carryOut(request(id, 'authorize'));
          assert.equal(outcome, 'declined');
        }
        if (bank.books) assert.deepEqual(sums(bank), [[1250, 0, 0, true]]);
      },
    );

    holds(
      'a card is declined with a reason, each time it is asked',
      async ({ provider, declined, books }) => {
        for (let times = 0; times < 2; times++)
          assert.deepEqual(await provider.carryOut(request('a', 'authorize', { token: declined })), {
            outcome: 'declined',
            reason: 'CARD_DECLINED',
          });
        if (books) assert.deepEqual(books(), []);
      },
    );
  });
}

paymentProviderContract('the provider of the simulator', async (test) => {
  const simulation = scheduler(1, { at: new Map() });
  const { ports, authorizations } = providers(simulation);
  const bank = { provider: ports.paymentProvider, books: authorizations, declined: 'declined' };
  await within(simulation, simulation.process('test'), () => test(bank));
});

paymentProviderContract('the provider for trials', (test) =>
  test({ provider: simulatedPayments(), declined: 'tok_decline' }),
);

paymentProviderContract('a provider over HTTP', async (test) => {
  const bank = await startPayments(() => 'http://127.0.0.1:1');
  const provider = httpPayments({ url: bank.url, timeoutMs: 5_000 });
  await test({ provider, books: () => bank.books, declined: 'tok_decline' }).finally(bank.close);
});
