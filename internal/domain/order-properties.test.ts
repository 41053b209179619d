/** What stays true of an order whatever is asked of it, in whatever order and however often. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CONTENTS, content, JOURNEYS, type Kind } from '../../test/support/builders.ts';
import { NOON } from '../../test/support/manual-clock.ts';
import { announce } from './announce.ts';
import { parseEvent } from './events.ts';
import { isFinal, journey, type Milestone, type Order, type OrderStatus } from './order.ts';
import { decide, evolve, type OrderCommand, place } from './order-decisions.ts';

const MILESTONES: readonly Milestone[] = [
  'CREATED',
  'PROCESSING',
  'CONFIRMED',
  'ACCEPTED',
  'PREPARING',
  'RIDER_ASSIGNED',
  'OUT_FOR_DELIVERY',
  'DELIVERED',
  'COMPLETED',
];
const DROPPED_OUT: readonly OrderStatus[] = ['FAILED', 'REJECTED', 'CANCELLED'];

const kinds = fc.constantFrom(...Object.values(CONTENTS));
const offsets = fc.integer({ min: -3, max: 3 });
const reasons = fc.constantFrom('NO_STOCK', 'NO_RIDER');
/** A command, or a step to where the order goes next anyway, so that runs come far, or is fetched at the restaurant. */
const asked = fc.oneof(
  { weight: 12, arbitrary: fc.constant('onwards' as const) },
  fc.constant('collected' as const),
  fc.record({ type: fc.constant('reschedule' as const), scheduledAt: offsets.map((ms) => NOON + ms) }),
  fc.record({ type: fc.constant('cancel' as const) }),
  fc.record({ type: fc.constant('start' as const), dueAt: offsets.map((ms) => NOON + ms) }),
  fc.record({
    type: fc.constant('advance' as const),
    to: fc.constantFrom(...MILESTONES),
    by: fc.constantFrom('fact' as const, 'request' as const),
  }),
  fc.record({ type: fc.constant('fail' as const), reason: reasons }),
  fc.record({ type: fc.constant('reject' as const), reason: reasons }),
);

function commandOf(wish: OrderCommand | 'onwards' | 'collected', order: Order): OrderCommand {
  if (wish === 'collected') return { type: 'advance', to: 'COMPLETED', by: 'request' };
  if (wish !== 'onwards') return wish;
  const path = journey(order);
  const next = path[path.indexOf(order.status as Milestone) + 1];
  return { type: 'advance', to: next ?? 'PROCESSING', by: 'fact' };
}

/** What came to its end in each of the ways there are, by what it carried. */
function endOf(order: Order): string {
  const carried = Object.keys(CONTENTS).find((kind) => {
    const { restaurantId, deliveryAddress, toCustomer } = content(CONTENTS[kind as Kind]);
    return (
      order.items.length === CONTENTS[kind as Kind].items.length &&
      order.restaurantId === restaurantId &&
      order.deliveryAddress === deliveryAddress &&
      order.toCustomer === toCustomer
    );
  });
  return `${carried} ${order.status}`;
}

/** How far along a status is; whoever dropped out is at the very end. */
function rank(order: Order): number {
  if (DROPPED_OUT.includes(order.status)) return 99;
  const place = journey(order).indexOf(order.status as Milestone);
  // What is collected at a restaurant has come to its end off the usual way.
  return place < 0 && order.status === 'COMPLETED' && order.restaurantId ? 98 : place;
}

function assertHolds(before: Order, after: Order): void {
  assert.equal(after.version, after.timeline.length, 'the version is the length of the timeline');
  assert.ok(after.version >= before.version, 'the version never falls');
  assert.ok(rank(after) >= 0, `${after.status} is on the journey`);
  assert.ok(rank(after) >= rank(before), `${before.status} does not move back to ${after.status}`);
  if (isFinal(before.status)) assert.equal(after.status, before.status, 'what is final stays');
  const reached = after.timeline.flatMap((entry) => ('status' in entry ? [entry.status] : []));
  assert.equal(reached.at(-1), after.status, 'the timeline ends where the order stands');
  assert.equal(new Set(reached).size, reached.length, 'no status is reached twice');
  assert.ok(after.dueAt >= after.createdAt, 'no order is due before it was made');
}

test('an order never moves back, loses count or leaves its end, and every change of it can be announced', () => {
  const statuses = new Set<OrderStatus>();
  const ends = new Set<string>();
  fc.assert(
    fc.property(
      kinds,
      fc.option(offsets, { nil: undefined }),
      fc.array(asked, { maxLength: 20, size: 'max' }),
      (kind, offset, wishes) => {
        const scheduledAt = offset === undefined ? undefined : NOON + offset;
        let order = evolve(undefined, place(content({ ...kind, id: 'o1' }), scheduledAt, NOON));
        wishes.forEach((wish, index) => {
          const decision = decide(commandOf(wish, order), order, NOON + index);
          if (!('events' in decision)) return;
          for (const event of decision.events) {
            const next = evolve(order, event);
            assertHolds(order, next);
            assert.equal(next.version, order.version + 1, 'each event raises the version by one');
            assert.ok('event' in parseEvent(announce(event, next, 'e1', { producer: 'test' })));
            order = next;
          }
          statuses.add(order.status);
        });
        ends.add(endOf(order));
      },
    ),
    { numRuns: 10_000 },
  );
  assert.equal(statuses.size, 12, `every status was reached: ${[...statuses].join(', ')}`);
  for (const kind of Object.keys(JOURNEYS) as Kind[])
    for (const end of [JOURNEYS[kind].at(-1), 'FAILED', 'CANCELLED'])
      assert.ok(ends.has(`${kind} ${end}`), `an order with ${kind} ended ${end}`);
  assert.ok(ends.has('restaurant COMPLETED'), 'an order was collected');
  assert.ok(!ends.has('everything COMPLETED'), 'and none that a rider carries');
});

test('what is asked for a second time changes nothing, or is refused', () => {
  fc.assert(
    fc.property(kinds, fc.array(asked, { maxLength: 10 }), asked, (kind, wishes, last) => {
      let order = evolve(undefined, place(content({ ...kind, id: 'o1' }), undefined, NOON));
      const apply = (command: OrderCommand): number => {
        const decision = decide(command, order, NOON);
        if (!('events' in decision)) return 0;
        for (const event of decision.events) order = evolve(order, event);
        return decision.events.length;
      };
      for (const wish of wishes) apply(commandOf(wish, order));
      const command = commandOf(last, order);
      apply(command);
      assert.equal(apply(command), 0);
    }),
    { numRuns: 10_000 },
  );
});
