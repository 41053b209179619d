/** Tests of deadlines: the state they apply to, the time they start from, and the status that follows. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  after,
  CONTENTS,
  DEADLINES,
  JOURNEYS,
  type Kind,
  movedAt,
  orderAt,
  placedOrder,
} from '../../test/support/builders.ts';
import { NOON } from '../../test/support/manual-clock.ts';
import { type Deadlines, deadlineOf, reachedAt } from './deadlines.ts';
import { isFinal, type Order, type OrderStatus } from './order.ts';
import { decide } from './order-decisions.ts';

const MINUTE = 60_000;
/** Each of a different length, so that a test fails if one is used for another. */
const APART: Deadlines = {
  processing: 1,
  acceptance: 10,
  rider: 100,
  pickUp: 1_000,
  delivery: 10_000,
  collection: 100_000,
};

const NO_DEADLINE: readonly OrderStatus[] = ['CREATED', 'DELIVERED', 'COMPLETED'];
type Rule = readonly [limit: keyof Deadlines, since: OrderStatus, becomes: OrderStatus, reason: string];
const PROCESSING_TIME: Rule = ['processing', 'PROCESSING', 'FAILED', 'TIMED_OUT'];
const ANSWER: Rule = ['acceptance', 'CONFIRMED', 'REJECTED', 'NO_RESPONSE'];
const PICK_UP: Rule = ['pickUp', 'RIDER_ASSIGNED', 'FAILED', 'NOT_PICKED_UP'];
const DELIVERY: Rule = ['delivery', 'OUT_FOR_DELIVERY', 'FAILED', 'NOT_DELIVERED'];
const rider = (since: OrderStatus): Rule => ['rider', since, 'FAILED', 'NO_RIDER'];
const COLLECTION: Rule = ['collection', 'ACCEPTED', 'FAILED', 'NOT_COLLECTED'];

/** The deadline of each state by kind of order; a state that is absent has none. */
const RULES: Record<Kind, Partial<Record<OrderStatus, Rule>>> = {
  plain: { PROCESSING: PROCESSING_TIME },
  items: { PROCESSING: PROCESSING_TIME },
  restaurant: {
    PROCESSING: PROCESSING_TIME,
    CONFIRMED: ANSWER,
    ACCEPTED: COLLECTION,
    PREPARING: COLLECTION,
    OUT_FOR_DELIVERY: DELIVERY,
  },
  delivery: {
    PROCESSING: PROCESSING_TIME,
    CONFIRMED: rider('CONFIRMED'),
    RIDER_ASSIGNED: PICK_UP,
    OUT_FOR_DELIVERY: DELIVERY,
  },
  toCustomer: {
    PROCESSING: PROCESSING_TIME,
    CONFIRMED: rider('CONFIRMED'),
    RIDER_ASSIGNED: PICK_UP,
    OUT_FOR_DELIVERY: DELIVERY,
  },
  everything: {
    PROCESSING: PROCESSING_TIME,
    CONFIRMED: ANSWER,
    ACCEPTED: rider('ACCEPTED'),
    PREPARING: rider('ACCEPTED'),
    RIDER_ASSIGNED: PICK_UP,
    OUT_FOR_DELIVERY: DELIVERY,
  },
};

/** An order of this kind that reached each state a minute after the previous one. */
function slowly(kind: Kind, status: OrderStatus): Order {
  const steps = JOURNEYS[kind].slice(1, JOURNEYS[kind].indexOf(status as never) + 1);
  return steps.reduce(
    (order, to, index) => movedAt(order, NOON + (index + 1) * MINUTE, to as never),
    placedOrder({ content: CONTENTS[kind] }),
  );
}

describe('the deadline', () => {
  for (const kind of Object.keys(JOURNEYS) as Kind[]) {
    for (const status of JOURNEYS[kind]) {
      const rule = RULES[kind][status];
      if (!rule) {
        test(`an order of kind ${kind} that is ${status} has no deadline`, () => {
          assert.ok(kind === 'items' || NO_DEADLINE.includes(status));
          assert.equal(deadlineOf(slowly(kind, status), APART), undefined);
        });
        continue;
      }
      const [limit, since, becomes, reason] = rule;
      test(`an order of kind ${kind} that is ${status} becomes ${becomes}(${reason}) at the ${limit} deadline, counted from ${since}`, () => {
        const order = slowly(kind, status);
        const deadline = deadlineOf(order, APART);
        assert.ok(deadline);
        const reached = NOON + JOURNEYS[kind].indexOf(since as never) * MINUTE;
        assert.equal(deadline.dueAt, reached + APART[limit]);
        const decision = decide(deadline.command, order, deadline.dueAt);
        assert.ok('events' in decision, 'the command is allowed');
        const ended = after(order, ...decision.events);
        assert.deepEqual([ended.status, 'reason' in ended && ended.reason], [becomes, reason]);
        assert.equal(deadlineOf(ended, APART), undefined, 'the ended order has no deadline');
      });
    }
  }

  for (const status of ['FAILED', 'REJECTED', 'CANCELLED'] as const) {
    test(`an order that is ${status} has no deadline`, () => {
      assert.ok(isFinal(status));
      assert.equal(deadlineOf(orderAt(status), DEADLINES), undefined);
    });
  }

  test('a collected order has no deadline', () => {
    assert.equal(deadlineOf(orderAt('COMPLETED', 'restaurant'), DEADLINES), undefined);
  });
});

describe('the time at which a status was reached', () => {
  test('a fact that is noted later does not change the time at which a status was reached', () => {
    const order = slowly('everything', 'ACCEPTED');
    const noted = after(order, { type: 'noted', at: NOON + 99 * MINUTE, fact: 'CONFIRMED' });
    assert.equal(reachedAt(noted, 'ACCEPTED'), NOON + 3 * MINUTE);
    assert.deepEqual(deadlineOf(noted, APART), deadlineOf(order, APART));
  });

  test('a skipped status counts as reached at the last change', () => {
    assert.equal(reachedAt(slowly('items', 'CONFIRMED'), 'PREPARING'), NOON + 2 * MINUTE);
  });
});
