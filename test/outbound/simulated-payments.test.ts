/** The simulated provider: every token does what its document says, and keys are remembered. */
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

/** What comes of asking so many times. */
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
  test(`an authorization with ${token} comes to ${wanted.join(', ')}`, async () => {
    assert.deepEqual(await outcomes(simulatedPayments(), wanted.length, token), wanted);
  });
}

test('no token is as good as tok_approve, and the same key has the same authorization', async () => {
  const provider = simulatedPayments();
  const ask = (id: string) => provider.carryOut(request({ id }));
  assert.deepEqual(await ask('a'), await ask('a'));
  assert.notDeepEqual(await ask('a'), await ask('b'));
});

test('what was abandoned is not granted any more, however late it is asked for', async () => {
  const provider = simulatedPayments();
  await provider.carryOut(request({ step: 'abandon', authorizationKey: 'o1:authorize' }));
  assert.deepEqual(await outcomes(provider, 1), ['declined']);
});

test('it captures, voids and refunds whatever it is asked to', async () => {
  const provider = simulatedPayments();
  for (const step of ['capture', 'void', 'refund'] as const)
    assert.deepEqual(await provider.carryOut(request({ step, authorizationId: 'a1' })), { outcome: 'done' });
});

test('it forgets the oldest once it has as many as it remembers', async () => {
  const provider = simulatedPayments({ remembered: 2 });
  const ask = (id: string) => provider.carryOut(request({ id, token: 'tok_pending' }));
  const said: string[] = [];
  for (const id of ['a', 'b', 'c', 'c', 'a']) said.push((await ask(id)).outcome);
  assert.deepEqual(said, ['pending', 'pending', 'pending', 'done', 'pending']);
});
