/** The simulated payment provider: the documented outcome of every token, and the memory of idempotency keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrderId } from '../../internal/domain/order.ts';
import type { PaymentProvider, PaymentRequest } from '../../internal/service/payments/ports.ts';
import { simulatedPayments } from '../../internal/transport/outbound/simulated-payments.ts';

const request = (changes: Partial<PaymentRequest> & { id?: string } = {}): PaymentRequest => {
  const { id = 'o1', ...rest } = changes;
  return {
    orderId: id as OrderId,
    step: 'authorize',
    amount: { minor: 1250, currency: 'USD' },
    idempotencyKey: `${id}:${changes.step ?? 'authorize'}`,
    ...rest,
  };
};

/** The outcomes of N identical requests. */
async function outcomes(provider: PaymentProvider, times: number, token?: string): Promise<string[]> {
  const all: string[] = [];
  for (let n = 0; n < times; n += 1) {
    const answer = provider.carryOut(request({ token }));
    all.push(await answer.then(({ outcome }) => outcome).catch(({ code }) => code));
  }
  return all;
}

const COMES_TO: Record<string, string[]> = {
  tok_approve: ['done', 'done'],
  'any other': ['done', 'done'],
  tok_decline: ['declined', 'declined'],
  tok_timeout: ['UNAVAILABLE', 'done', 'done'],
  tok_flaky: ['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE', 'done', 'done'],
  tok_pending: ['pending', 'done', 'done'],
};
for (const [token, wanted] of Object.entries(COMES_TO)) {
  test(`repeated authorizations with token ${token} give ${wanted.join(', ')}`, async () => {
    assert.deepEqual(await outcomes(simulatedPayments(), wanted.length, token), wanted);
  });
}

test('an authorization without a token is approved, and one key always gets the same authorization', async () => {
  const provider = simulatedPayments();
  const ask = (id: string) => provider.carryOut(request({ id }));
  assert.deepEqual(await ask('a'), await ask('a'));
  assert.notDeepEqual(await ask('a'), await ask('b'));
});

test('an authorization that was abandoned before it arrived is declined', async () => {
  const provider = simulatedPayments();
  await provider.carryOut(request({ step: 'abandon', authorizationKey: 'o1:authorize' }));
  assert.deepEqual(await outcomes(provider, 1), ['declined']);
});

test('the simulated provider accepts every capture, void and refund', async () => {
  const provider = simulatedPayments();
  for (const step of ['capture', 'void', 'refund'] as const)
    assert.deepEqual(await provider.carryOut(request({ step, authorizationId: 'a1' })), { outcome: 'done' });
});

test('the simulated provider forgets the oldest key beyond its memory limit', async () => {
  const provider = simulatedPayments({ remembered: 2 });
  const ask = (id: string) => provider.carryOut(request({ id, token: 'tok_pending' }));
  const said: string[] = [];
  for (const id of ['a', 'b', 'c', 'c', 'a']) said.push((await ask(id)).outcome);
  assert.deepEqual(said, ['pending', 'pending', 'pending', 'done', 'pending']);
});
