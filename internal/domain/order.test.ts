/** Tests of the order's rules: given an order, when a command comes, then certain events follow or it is refused. */
import { describe, test } from 'node:test';
import { after, JOURNEYS, LATER, movedTo, orderAt, placedOrder } from '../../test/support/builders.ts';
import { given } from '../../test/support/given.ts';
import { NOON } from '../../test/support/manual-clock.ts';
import type { Milestone, OrderStatus } from './order.ts';

const ACTIVE: readonly OrderStatus[] = JOURNEYS.everything.slice(0, -1);
const DISPATCHED: readonly OrderStatus[] = ACTIVE.slice(1);
const FINAL: readonly OrderStatus[] = ['DELIVERED', 'FAILED', 'REJECTED', 'CANCELLED'];

describe('starting', () => {
  test('a created order that was dispatched for its schedule becomes PROCESSING', () => {
    given(orderAt('CREATED'))
      .when({ type: 'start', dueAt: LATER })
      .follows({ type: 'advanced', to: 'PROCESSING' });
  });

  test('a start for a schedule that was replaced is refused', () => {
    given(orderAt('CREATED'))
      .when({ type: 'start', dueAt: LATER - 1 })
      .itIsRefused('STALE_SCHEDULE');
  });

  for (const status of [...DISPATCHED, ...FINAL]) {
    test(`an order that is ${status} ignores a start`, () => {
      given(orderAt(status)).when({ type: 'start', dueAt: LATER }).nothingHappens();
    });
  }
});

describe('rescheduling', () => {
  const later = { type: 'reschedule', scheduledAt: LATER + 5 } as const;

  test('a created order moves to its new time', () => {
    given(orderAt('CREATED'))
      .when(later)
      .follows({ type: 'rescheduled', scheduledAt: LATER + 5, dueAt: LATER + 5 });
  });

  test('a new time in the past means now', () => {
    given(orderAt('CREATED')).when({ type: 'reschedule', scheduledAt: NOON }).nothingHappens();
    given(placedOrder({ scheduledAt: LATER + 9 }))
      .when({ type: 'reschedule', scheduledAt: NOON })
      .follows({ type: 'rescheduled', scheduledAt: NOON, dueAt: LATER });
  });

  test('rescheduling to the same time changes nothing', () => {
    given(orderAt('CREATED')).when({ type: 'reschedule', scheduledAt: LATER }).nothingHappens();
  });

  test('an order that was rescheduled as often as allowed stays as it is', () => {
    const moved = (times: number) =>
      after(
        orderAt('CREATED'),
        ...Array.from({ length: times }, (_, n) => {
          const at = LATER + n + 10;
          return { type: 'rescheduled', at: NOON, scheduledAt: at, dueAt: at } as const;
        }),
      );
    const third = { ...later, atMost: 3 };
    given(moved(2))
      .when(third)
      .follows({ type: 'rescheduled', scheduledAt: LATER + 5, dueAt: LATER + 5 });
    given(moved(3)).when(third).itIsRefused('RESCHEDULED_TOO_OFTEN');
    given(orderAt('CREATED'))
      .when({ ...later, atMost: 0 })
      .itIsRefused('RESCHEDULED_TOO_OFTEN');
  });

  for (const status of DISPATCHED) {
    test(`an order that is ${status} was dispatched and cannot be rescheduled`, () => {
      given(orderAt(status)).when(later).itIsRefused('ALREADY_DISPATCHED');
    });
  }
  for (const status of FINAL) {
    test(`an order that is ${status} has ended and cannot be rescheduled`, () => {
      given(orderAt(status)).when(later).itIsRefused('ILLEGAL_TRANSITION');
    });
  }
});

describe('cancelling', () => {
  for (const status of ACTIVE) {
    test(`an order that is ${status} can be cancelled`, () => {
      given(orderAt(status))
        .when({ type: 'cancel', reason: 'late' })
        .follows({ type: 'cancelled', reason: 'late' });
      given(orderAt(status)).when({ type: 'cancel' }).follows({ type: 'cancelled' });
    });
  }

  test('cancelling twice changes nothing', () => {
    given(orderAt('CANCELLED')).when({ type: 'cancel', reason: 'again' }).nothingHappens();
  });

  for (const status of ['DELIVERED', 'FAILED', 'REJECTED'] as const) {
    test(`an order that is ${status} cannot be cancelled`, () => {
      given(orderAt(status)).when({ type: 'cancel' }).itIsRefused('ILLEGAL_TRANSITION');
    });
  }

  test('a completed order cannot be cancelled', () => {
    given(orderAt('COMPLETED', 'plain')).when({ type: 'cancel' }).itIsRefused('ILLEGAL_TRANSITION');
  });
});

describe('failing', () => {
  const fail = { type: 'fail', reason: 'NO_RIDER' } as const;
  for (const status of ACTIVE) {
    test(`an order that is ${status} can fail, with its reason`, () => {
      given(orderAt(status)).when(fail).follows({ type: 'failed', reason: 'NO_RIDER' });
    });
  }
  for (const status of FINAL) {
    test(`a failure that comes when the order is ${status} is noted once`, () => {
      const order = orderAt(status);
      given(order).when(fail).follows({ type: 'noted', fact: 'FAILED: NO_RIDER' });
      given(after(order, { type: 'noted', at: NOON, fact: 'FAILED: NO_RIDER' }))
        .when(fail)
        .nothingHappens();
    });
  }

  test('the failure that ended the order changes nothing when it is repeated', () => {
    given(orderAt('FAILED')).when({ type: 'fail', reason: 'NO_STOCK' }).nothingHappens();
  });
});

describe('rejecting', () => {
  const reject = { type: 'reject', reason: 'CLOSED' } as const;

  test('a restaurant can reject an order that is CONFIRMED', () => {
    given(orderAt('CONFIRMED', 'restaurant')).when(reject).follows({ type: 'rejected', reason: 'CLOSED' });
  });

  test('an order without a restaurant cannot be rejected', () => {
    given(orderAt('CONFIRMED', 'items')).when(reject).itIsRefused('ILLEGAL_TRANSITION');
  });

  for (const status of [...ACTIVE, ...FINAL].filter((status) => status !== 'CONFIRMED')) {
    test(`an order that is ${status} cannot be rejected`, () => {
      given(orderAt(status)).when(reject).itIsRefused('ILLEGAL_TRANSITION');
    });
  }
});

describe('facts', () => {
  const fact = (to: Milestone) => ({ type: 'advance', to, by: 'fact' }) as const;

  for (const status of DISPATCHED) {
    test(`the fact ${status} changes nothing when it is repeated`, () => {
      given(orderAt(status))
        .when(fact(status as Milestone))
        .nothingHappens();
    });
  }

  test('a fact that comes too early is refused', () => {
    given(orderAt('CONFIRMED')).when(fact('DELIVERED')).itIsRefused('ILLEGAL_TRANSITION');
    given(orderAt('CREATED')).when(fact('CONFIRMED')).itIsRefused('ILLEGAL_TRANSITION');
  });

  test('a fact about a status that the order has already reached changes nothing', () => {
    given(orderAt('OUT_FOR_DELIVERY')).when(fact('ACCEPTED')).nothingHappens();
    given(orderAt('DELIVERED')).when(fact('CREATED')).nothingHappens();
  });

  test('a late fact about a status that the order skipped is noted once', () => {
    const order = movedTo(orderAt('ACCEPTED'), 'RIDER_ASSIGNED');
    given(order).when(fact('PREPARING')).follows({ type: 'noted', fact: 'PREPARING' });
    given(after(order, { type: 'noted', at: NOON, fact: 'PREPARING' }))
      .when(fact('PREPARING'))
      .nothingHappens();
  });

  test('a fact that comes after the order was cancelled is noted once', () => {
    const order = after(orderAt('PREPARING'), { type: 'cancelled', at: NOON });
    given(order).when(fact('RIDER_ASSIGNED')).follows({ type: 'noted', fact: 'RIDER_ASSIGNED' });
    given(order).when(fact('PREPARING')).nothingHappens();
  });

  test('a fact about a status that is not on the order’s journey is refused', () => {
    given(orderAt('CONFIRMED', 'items')).when(fact('RIDER_ASSIGNED')).itIsRefused('ILLEGAL_TRANSITION');
    given(orderAt('COMPLETED', 'plain')).when(fact('DELIVERED')).itIsRefused('ILLEGAL_TRANSITION');
  });
});
