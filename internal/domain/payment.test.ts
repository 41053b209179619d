/** Tests of the payment rules: the next step, the state after a step or webhook, and the event of each state. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CONTENTS, orderAt, placedOrder } from '../../test/support/builders.ts';
import { NOON } from '../../test/support/manual-clock.ts';
import { parseEvent } from './events.ts';
import { ORDER_STATUSES, type OrderStatus } from './order.ts';
import {
  afterNotice,
  afterStep,
  announcePayment,
  newPayment,
  nextStep,
  type Payment,
  type PaymentState,
  type PaymentStep,
  retryDelayMs,
} from './payment.ts';

const ORIGIN = { eventId: 'e1', at: NOON, producer: 'payment-service' };
const APPROVED = { outcome: 'done', authorizationId: 'a1' } as const;
const DONE = { outcome: 'done' } as const;
const DECLINED = { outcome: 'declined', reason: 'CARD_DECLINED' } as const;

const pending = newPayment(orderAt('PROCESSING'), NOON);
const authorized = afterStep(pending, 'authorize', APPROVED, NOON + 1);
const captured = afterStep(authorized, 'capture', DONE, NOON + 2);
const PAYMENTS: Record<PaymentState, Payment> = {
  PENDING: pending,
  AUTHORIZED: authorized,
  FAILED: afterStep(pending, 'authorize', DECLINED, NOON + 1),
  CAPTURED: captured,
  VOIDED: afterStep(authorized, 'void', DONE, NOON + 2),
  REFUNDED: afterStep(captured, 'refund', DONE, NOON + 3),
};

const OUT: readonly OrderStatus[] = ['FAILED', 'REJECTED', 'CANCELLED'];
const ENDED_WELL: readonly OrderStatus[] = ['DELIVERED', 'COMPLETED'];

/** The next step by the state of the payment, for an order that is in progress, has succeeded, or has failed. */
const STEPS: Record<PaymentState, readonly (PaymentStep | undefined)[]> = {
  PENDING: ['authorize', 'authorize', 'abandon'],
  AUTHORIZED: [undefined, 'capture', 'void'],
  FAILED: [undefined, undefined, undefined],
  CAPTURED: [undefined, undefined, 'refund'],
  VOIDED: [undefined, undefined, undefined],
  REFUNDED: [undefined, undefined, undefined],
};

function orderIn(status: OrderStatus) {
  return orderAt(status, status === 'COMPLETED' ? 'items' : 'everything');
}

describe('the next step', () => {
  for (const status of ORDER_STATUSES) {
    const column = OUT.includes(status) ? 2 : ENDED_WELL.includes(status) ? 1 : 0;
    for (const [state, steps] of Object.entries(STEPS) as [PaymentState, PaymentStep[]][]) {
      test(`the next step of a payment that is ${state} and whose order is ${status} is ${steps[column] ?? 'none'}`, () => {
        assert.equal(nextStep(PAYMENTS[state], orderIn(status)), steps[column]);
      });
    }
  }

  test('no payment is authorized before the items are reserved', () => {
    for (const status of ORDER_STATUSES) assert.equal(nextStep(undefined, orderIn(status)), undefined);
    assert.equal(nextStep(undefined, orderAt('PROCESSING'), true), 'authorize');
  });

  test('an authorization that may exist without a stored payment is abandoned when its order has failed', () => {
    for (const status of OUT) assert.equal(nextStep(undefined, orderIn(status), true), 'abandon');
  });

  test('an order is not charged if it has no items, costs nothing, or waits for its time', () => {
    const free = placedOrder({ content: { ...CONTENTS.items, total: { minor: 0, currency: 'USD' } } });
    for (const order of [orderAt('PROCESSING', 'plain'), { ...free, status: 'PROCESSING' as const }])
      assert.equal(nextStep(undefined, order, true), undefined);
    assert.equal(nextStep(undefined, orderAt('CREATED'), true), undefined);
  });
});

describe('after a step', () => {
  test('an approved authorization holds the whole requested amount', () => {
    const { state, authorizedMinor, authorizationId, authorizedAt, version } = authorized;
    assert.deepEqual(
      [state, authorizedMinor, authorizationId, authorizedAt, version],
      ['AUTHORIZED', 1250, 'a1', NOON + 1, 1],
    );
  });

  test('a capture takes the whole authorized amount, and a refund returns the whole captured amount', () => {
    assert.deepEqual([captured.capturedMinor, captured.capturedAt], [1250, NOON + 2]);
    const { refundedMinor, refundedAt, version } = PAYMENTS.REFUNDED;
    assert.deepEqual([refundedMinor, refundedAt, version], [1250, NOON + 3, 3]);
  });

  test('an attempt without a final answer only raises the count of attempts, and a final answer resets it', () => {
    const once = afterStep(pending, 'authorize', { outcome: 'none' }, NOON);
    const twice = afterStep(once, 'authorize', { outcome: 'pending' }, NOON);
    assert.deepEqual([twice.state, twice.attempts, twice.version], ['PENDING', 2, 2]);
    assert.equal(afterStep(twice, 'authorize', APPROVED, NOON).attempts, 0);
  });

  test('a payment whose authorization was declined is FAILED with the reason', () => {
    assert.equal(PAYMENTS.FAILED.reason, 'CARD_DECLINED');
  });

  test('a refused abandon, capture, void or refund throws, and so does an authorization without an id', () => {
    for (const step of ['abandon', 'capture', 'void', 'refund'] as const)
      assert.throws(() => afterStep(authorized, step, DECLINED, NOON), /refuses to/);
    assert.throws(() => afterStep(pending, 'authorize', DONE, NOON), /without an id/);
  });
});

describe('a webhook', () => {
  test('a webhook authorizes a pending payment, or makes it fail', () => {
    assert.equal(afterNotice(pending, APPROVED, NOON).state, 'AUTHORIZED');
    assert.equal(afterNotice(pending, DECLINED, NOON).state, 'FAILED');
  });

  test('a webhook of a granted authorization is recorded although the payment was declined or abandoned', () => {
    const abandoned = afterStep(pending, 'abandon', DONE, NOON);
    for (const failed of [PAYMENTS.FAILED, abandoned]) {
      const { state, reason } = afterNotice(failed, APPROVED, NOON);
      assert.deepEqual([state, reason], ['AUTHORIZED', undefined]);
    }
  });

  test('a webhook that is redelivered or comes too late changes nothing', () => {
    for (const state of ['AUTHORIZED', 'CAPTURED', 'VOIDED', 'REFUNDED'] as const)
      for (const answer of [APPROVED, DECLINED])
        assert.equal(afterNotice(PAYMENTS[state], answer, NOON), PAYMENTS[state]);
    assert.equal(afterNotice(PAYMENTS.FAILED, DECLINED, NOON), PAYMENTS.FAILED);
  });
});

test('each state is announced once, as a valid event', () => {
  const types = Object.entries(PAYMENTS).map(([state, payment]) => {
    const event = announcePayment(undefined, payment, ORIGIN);
    assert.ok('event' in parseEvent(event), state);
    assert.equal(announcePayment(payment, payment, ORIGIN), undefined);
    return event?.eventType;
  });
  assert.deepEqual(types, [
    'payment.pending',
    'payment.authorized',
    'payment.failed',
    'payment.captured',
    'payment.voided',
    'payment.refunded',
  ]);
  const abandoned = announcePayment(pending, afterStep(pending, 'abandon', DONE, NOON), ORIGIN);
  assert.ok(abandoned && 'event' in parseEvent(abandoned));
  assert.deepEqual([abandoned.eventType, abandoned.payload], ['payment.failed', { reason: 'ABANDONED' }]);
});

test('a step is retried after 2, 4, 8 … seconds, up to a minute, and its first attempt is made at once', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 5, 6, 1_000].map(retryDelayMs),
    [0, 2_000, 4_000, 8_000, 32_000, 60_000, 60_000],
  );
});
