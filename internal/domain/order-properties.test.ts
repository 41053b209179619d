/** Property tests of an order under any sequence of commands. */
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
/** A random command; or the order's next step, so that runs reach the late states; or collection at the restaurant. */
const wishes = fc.oneof(
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

/** The kind of the order and its last status. */
function endOf(order: Order): string {
  const kind = Object.keys(CONTENTS).find((kind) => {
    const { restaurantId, deliveryAddress, toCustomer } = content(CONTENTS[kind as Kind]);
    return (
      order.items.length === CONTENTS[kind as Kind].items.length &&
      order.restaurantId === restaurantId &&
      order.deliveryAddress === deliveryAddress &&
      order.toCustomer === toCustomer
    );
  });
  return `${kind} ${order.status}`;
}

/** The index of the status on the order's journey; an order that failed comes last. */
function rank(order: Order): number {
  if (DROPPED_OUT.includes(order.status)) return 99;
  const place = journey(order).indexOf(order.status as Milestone);
  // COMPLETED is not on the journey of an order that is collected at a restaurant.
  return place < 0 && order.status === 'COMPLETED' && order.restaurantId ? 98 : place;
}

function assertHolds(before: Order, after: Order): void {
  assert.equal(after.version, after.timeline.length, 'the version is the length of the timeline');
  assert.ok(after.version >= before.version, 'the version never falls');
  assert.ok(rank(after) >= 0, `${after.status} is on the journey`);
  assert.ok(rank(after) >= rank(before), `${before.status} does not move back to ${after.status}`);
  if (isFinal(before.status)) assert.equal(after.status, before.status, 'a final status stays');
  const reached = after.timeline.flatMap((entry) => ('status' in entry ? [entry.status] : []));
  assert.equal(reached.at(-1), after.status, 'the timeline ends with the status');
  assert.equal(new Set(reached).size, reached.length, 'no status is reached twice');
  assert.ok(after.dueAt >= after.createdAt, 'no order is due before its creation');
}

test('an order never moves back, skips a version or leaves a final status, and each of its changes gives a valid event', () => {
  const statuses = new Set<OrderStatus>();
  const ends = new Set<string>();
  fc.assert(
    fc.property(
      kinds,
      fc.option(offsets, { nil: undefined }),
      fc.array(wishes, { maxLength: 20, size: 'max' }),
      (kind, offset, run) => {
        const scheduledAt = offset === undefined ? undefined : NOON + offset;
        let order = evolve(undefined, place(content({ ...kind, id: 'o1' }), scheduledAt, NOON));
        run.forEach((wish, index) => {
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
  assert.ok(!ends.has('everything COMPLETED'), 'no order that a rider carries was collected');
});

test('a command that is repeated changes nothing or is refused', () => {
  fc.assert(
    fc.property(kinds, fc.array(wishes, { maxLength: 10 }), wishes, (kind, run, last) => {
      let order = evolve(undefined, place(content({ ...kind, id: 'o1' }), undefined, NOON));
      const apply = (command: OrderCommand): number => {
        const decision = decide(command, order, NOON);
        if (!('events' in decision)) return 0;
        for (const event of decision.events) order = evolve(order, event);
        return decision.events.length;
      };
      for (const wish of run) apply(commandOf(wish, order));
      const command = commandOf(last, order);
      apply(command);
      assert.equal(apply(command), 0);
    }),
    { numRuns: 10_000 },
  );
});
