/** Tests of what a customer gets back, for every state of order and payment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orderAt } from '../../test/support/builders.ts';
import { isFinal, ORDER_STATUSES, type OrderStatus } from './order.ts';
import type { PaymentState } from './payment.ts';
import { costOfCancelling, refundOf } from './refund.ts';

const STATES: readonly (PaymentState | undefined)[] = [
  ...[undefined, 'PENDING', 'AUTHORIZED', 'FAILED', 'CAPTURED', 'VOIDED', 'REFUNDED'],
] as const;
const TOTAL = orderAt('CREATED').total.minor;
const given = (state: PaymentState | undefined, status: OrderStatus) => refundOf(state, orderAt(status));

test('money that an order holds which dropped out is still to be given back, and then it is', () => {
  for (const status of ['FAILED', 'REJECTED', 'CANCELLED'] as const) {
    for (const state of ['PENDING', 'AUTHORIZED', 'CAPTURED'] as const)
      assert.deepEqual(given(state, status), { state: 'PENDING', minor: TOTAL }, `${status} ${state}`);
    for (const state of ['VOIDED', 'REFUNDED'] as const)
      assert.deepEqual(given(state, status), { state: 'DONE', minor: TOTAL }, `${status} ${state}`);
    for (const state of [undefined, 'FAILED'] as const)
      assert.deepEqual(given(state, status), { state: 'NONE', minor: 0 }, `${status} ${state}`);
  }
  for (const state of ['AUTHORIZED', 'CAPTURED'] as const)
    assert.deepEqual(given(state, 'DELIVERED'), { state: 'NONE', minor: 0 });
});

test('cancelling costs nothing while it is allowed, since all money is given back; afterwards it has no cost', () => {
  for (const status of ORDER_STATUSES)
    for (const state of STATES) {
      const cost = costOfCancelling(state, orderAt(status, status === 'COMPLETED' ? 'plain' : 'everything'));
      assert.equal(cost, isFinal(status) ? undefined : 0, `${status} ${state}`);
    }
});
