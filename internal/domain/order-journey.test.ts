/** Tests of an order's creation, of its journey by content, and of `evolve`. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  after,
  CONTENTS,
  content,
  JOURNEYS,
  type Kind,
  LATER,
  orderAt,
  placedOrder,
  STEPS,
} from '../../test/support/builders.ts';
import { given } from '../../test/support/given.ts';
import { NOON } from '../../test/support/manual-clock.ts';
import { allowedStatuses, isFinal, journey, type OrderStatus } from './order.ts';
import { decide, evolve, type OrderCommand, place } from './order-decisions.ts';

describe('placing', () => {
  test('an order without a time is due now', () => {
    const order = placedOrder();
    assert.deepEqual(
      [order.dueAt, order.scheduledAt, order.status, order.version],
      [NOON, undefined, 'CREATED', 1],
    );
    assert.deepEqual(order.timeline, [{ status: 'CREATED', at: NOON }]);
  });

  test('a scheduled order is due at its time', () => {
    const order = placedOrder({ scheduledAt: LATER });
    assert.deepEqual([order.dueAt, order.scheduledAt], [LATER, LATER]);
  });

  test('an order for a time in the past is due now, and stores the requested time', () => {
    const order = placedOrder({ scheduledAt: NOON - 1 });
    assert.deepEqual([order.dueAt, order.scheduledAt], [NOON, NOON - 1]);
  });

  test('an order has the content that it was placed with', () => {
    const placed = content({ ...CONTENTS.everything, customerId: 'c1' });
    const order = evolve(undefined, place(placed, undefined, NOON));
    assert.deepEqual({ ...order, ...placed }, order);
  });

  test('an order without a creation is refused', () => {
    assert.throws(() => evolve(undefined, { type: 'cancelled', at: NOON }), /first event of an order/);
  });
});

describe('the journey', () => {
  for (const kind of Object.keys(JOURNEYS) as Kind[]) {
    test(`an order of kind ${kind} goes through ${JOURNEYS[kind].join(', ')}`, () => {
      assert.deepEqual(journey(content(CONTENTS[kind])), JOURNEYS[kind]);
    });

    test(`an order of kind ${kind} can take each of its steps in turn, and no other`, () => {
      for (const [index, status] of JOURNEYS[kind].entries()) {
        const next = JOURNEYS[kind][index + 1];
        const afterNext = next === 'PREPARING' ? JOURNEYS[kind][index + 2] : undefined;
        for (const to of [...STEPS, 'COMPLETED' as const]) {
          const step = given(orderAt(status, kind)).when({ type: 'advance', to, by: 'request' });
          // A customer can collect an order that no rider carries while the kitchen prepares it.
          const isCollected =
            kind === 'restaurant' && to === 'COMPLETED' && (status === 'ACCEPTED' || status === 'PREPARING');
          if (to === next || to === afterNext || isCollected) step.follows({ type: 'advanced', to });
          else if (to === status) step.nothingHappens();
          else step.itIsRefused('ILLEGAL_TRANSITION');
        }
      }
    });
  }
});

describe('evolving', () => {
  test('a failed order carries its reason, and each change raises the version', () => {
    const order = orderAt('FAILED');
    assert.deepEqual(
      [order.status, 'reason' in order && order.reason, order.version, order.timeline.length],
      ['FAILED', 'NO_STOCK', 2, 2],
    );
  });

  test('a noted fact leaves the status of the order unchanged', () => {
    const before = orderAt('PREPARING');
    const order = after(before, { type: 'noted', at: LATER, fact: 'ACCEPTED' });
    assert.equal(order.status, 'PREPARING');
    assert.deepEqual(order.timeline.at(-1), { fact: 'ACCEPTED', at: LATER });
    assert.deepEqual([order.version, order.updatedAt], [before.version + 1, LATER]);
  });

  test('a rescheduled order is due at its new time', () => {
    const order = after(orderAt('CREATED'), {
      type: 'rescheduled',
      at: NOON,
      scheduledAt: 1,
      dueAt: LATER + 1,
    });
    assert.deepEqual([order.scheduledAt, order.dueAt, order.status], [1, LATER + 1, 'CREATED']);
  });
});

describe('the allowed statuses', () => {
  for (const kind of Object.keys(JOURNEYS) as Kind[]) {
    test(`the allowed statuses of an order of kind ${kind} are exactly those that a command can reach`, () => {
      for (const status of [...JOURNEYS[kind], 'FAILED', 'CANCELLED'] as OrderStatus[]) {
        const order = orderAt(status, kind);
        const moves: [OrderStatus, OrderCommand][] = [
          ...[...STEPS, 'COMPLETED' as const].map((to): [OrderStatus, OrderCommand] => [
            to,
            { type: 'advance', to, by: 'request' },
          ]),
          ['FAILED', { type: 'fail', reason: 'x' }],
          ['REJECTED', { type: 'reject', reason: 'x' }],
          ['CANCELLED', { type: 'cancel' }],
        ];
        const possible = moves.filter(([to, command]) => {
          const decision = decide(command, order, LATER);
          return (
            'events' in decision &&
            decision.events.some((event) => evolve(order, event).status === to && order.status !== to)
          );
        });
        assert.deepEqual([...allowedStatuses(order)].sort(), possible.map(([to]) => to).sort());
        assert.equal(isFinal(status), allowedStatuses(order).length === 0);
      }
    });
  }
});
