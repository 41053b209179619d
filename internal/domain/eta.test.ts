/** Tests of ETAs: their parts, and properties that hold for any places and times. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NOON } from '../../test/support/manual-clock.ts';
import { assign, type Delivery, type EtaReason, type Place, pickUp } from './delivery.ts';
import { etaChangeOf, etaOf } from './eta.ts';
import type { OrderId } from './order.ts';

/** Five metres a second, so a kilometre takes 200 s and the default distance 600 s. */
const RULES = { defaultDistanceM: 3_000, detourFactor: 1, speedMps: 5, handoverMs: 60_000 };
const north = (metres: number): Place => [metres / 111_195.08, 0];
const requested: Delivery = { orderId: 'o' as OrderId, state: 'REQUESTED', attempts: 0, requestedAt: NOON };
const assigned = (changes: Partial<Delivery> = {}) => ({
  ...assign(requested, { riderId: 'r', at: NOON, holdsPlace: true }),
  ...changes,
});
const secondsOf = (delivery: Delivery, rider?: Place, now = NOON) => {
  const { median, p90 } = etaOf(delivery, rider, now, RULES);
  return [median, p90].map((at) => Math.round((at - now) / 1_000));
};

test('an ETA is the ride to the pickup, the ride to the door, and a minute at each', () => {
  const known = assigned({ pickup: north(1_000), dropoff: north(3_000) });
  assert.deepEqual(secondsOf(known, north(0)), [200 + 60 + 400 + 60, 280 + 120 + 560 + 120]);
});

test('an ETA includes the wait for a kitchen that takes longer than the ride to it', () => {
  const cooking = assigned({ pickup: north(1_000), dropoff: north(3_000), readyAt: NOON + 500_000 });
  assert.deepEqual(secondsOf(cooking, north(0)), [500 + 60 + 400 + 60, 650 + 120 + 560 + 120]);
});

test('a ride between unknown places is three kilometres long, and the time since its start counts as ridden', () => {
  assert.deepEqual(secondsOf(assigned()), [600 + 60 + 600 + 60, 840 + 120 + 840 + 120]);
  assert.deepEqual(secondsOf(assigned(), undefined, NOON + 100_000), [500 + 60 + 600 + 60, 740 + 1_080]);
  assert.deepEqual(secondsOf(assigned(), undefined, NOON + 5_000_000), [60 + 600 + 60, 120 + 840 + 120]);
});

test('an ETA after the pickup includes only the ride from the rider’s place to the door', () => {
  const carried = pickUp(assigned({ dropoff: north(3_000), readyAt: NOON + 900_000 }), NOON);
  assert.deepEqual(secondsOf(carried, north(2_000)), [200 + 60, 280 + 120]);
  assert.deepEqual(secondsOf(carried, north(3_000)), [60, 120]);
  assert.deepEqual(secondsOf(pickUp(assigned(), NOON), north(0), NOON + 300_000), [300 + 60, 540 + 120]);
});

const places = fc.tuple(
  fc.double({ min: 18, max: 20, noNaN: true }),
  fc.double({ min: 72, max: 74, noNaN: true }),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const times = fc.integer({ min: NOON - 5_000_000, max: NOON + 5_000_000 });
const deliveries = fc
  .record({ pickup: maybe(places), dropoff: maybe(places), readyAt: maybe(times), pickedUpAt: maybe(times) })
  .map(({ pickup, dropoff, readyAt, pickedUpAt }) => {
    const way = {
      ...(pickup ? { pickup } : {}),
      ...(dropoff ? { dropoff } : {}),
      ...(readyAt === undefined ? {} : { readyAt }),
    };
    return pickedUpAt === undefined ? assigned(way) : pickUp(assigned(way), pickedUpAt);
  });

test('an ETA is never in the past, and its 90th percentile is never before its median', () => {
  fc.assert(
    fc.property(deliveries, maybe(places), times, (delivery, rider, now) => {
      const { median, p90 } = etaOf(delivery, rider, now, RULES);
      assert.ok(now <= median && median <= p90);
    }),
  );
});

test('a later kitchen, a slower rider or a longer handover never makes an ETA earlier', () => {
  fc.assert(
    fc.property(
      deliveries,
      maybe(places),
      times,
      fc.integer({ min: 0, max: 3_600_000 }),
      (delivery, rider, now, more) => {
        const { median, p90 } = etaOf(delivery, rider, now, RULES);
        const later = [
          etaOf({ ...delivery, readyAt: (delivery.readyAt ?? now) + more }, rider, now, RULES),
          etaOf(delivery, rider, now, { ...RULES, speedMps: 5 / (1 + more / 1_000) }),
          etaOf(delivery, rider, now, { ...RULES, handoverMs: RULES.handoverMs + more }),
        ];
        for (const eta of later) assert.ok(eta.median >= median && eta.p90 >= p90);
      },
    ),
  );
});

test('the passing of time never makes the median earlier, and a pickup never makes an ETA later', () => {
  fc.assert(
    fc.property(
      deliveries,
      maybe(places),
      times,
      fc.integer({ min: 0, max: 3_600_000 }),
      (delivery, rider, now, ms) => {
        const before = etaOf(delivery, rider, now, RULES);
        const after = etaOf(delivery, rider, now + ms, RULES);
        assert.ok(
          after.median >= before.median && after.p90 >= before.p90 - 0.3 * ms - 1,
          'the 90th percentile may fall by 0.3 of the preparation that has passed',
        );
        if (delivery.state === 'PICKED_UP') return;
        // The rider stands at the counter.
        const assigned = etaOf(delivery, delivery.pickup, now, RULES);
        const pickedUp = etaOf(pickUp(delivery, now), delivery.pickup, now, RULES);
        assert.ok(pickedUp.median <= assigned.median && pickedUp.p90 <= assigned.p90);
      },
    ),
  );
});

/** The delivery with the ETA of this moment, and why its window changed last. */
function refreshed(delivery: Delivery, rider: Place | undefined, now: number, cause?: EtaReason): Delivery {
  const eta = etaOf(delivery, rider, now, RULES);
  return {
    ...delivery,
    eta: { ...eta, computedAt: now, change: etaChangeOf(delivery, eta, cause, rider, now, RULES) },
  };
}

test('a window says why it changed last by a minute or more, when, and what it was before', () => {
  const way = assigned({ pickup: north(1_000), dropoff: north(3_000), readyAt: NOON + 100_000 });
  const first = refreshed(way, north(0), NOON, 'RIDER_ASSIGNED');
  const { median, p90 } = first.eta ?? assert.fail();
  assert.deepEqual(first.eta?.change, { why: 'RIDER_ASSIGNED', at: NOON, to: { median, p90 } });

  // A metre off the way: the same to a customer, whatever happened.
  const near = refreshed(first, north(1), NOON, 'PICKED_UP');
  assert.notEqual(near.eta?.median, median);
  assert.deepEqual(near.eta?.change, first.eta?.change);

  const stuck = refreshed(near, north(1), NOON + 90_000);
  const { why, at, from, to } = stuck.eta?.change ?? assert.fail();
  assert.deepEqual([why, at, from], ['RIDER_POSITION', NOON + 90_000, { median, p90 }]);
  assert.deepEqual(to, { median: stuck.eta?.median, p90: stuck.eta?.p90 });
});

test('small steps add up to a change', () => {
  let delivery = refreshed(assigned(), undefined, NOON, 'RIDER_ASSIGNED');
  const begun = delivery.eta?.change;
  const changes = new Set();
  for (let s = 10; s <= 2_000; s += 10) {
    delivery = refreshed(delivery, undefined, NOON + s * 1_000);
    changes.add(delivery.eta?.change);
  }
  assert.equal(changes.has(begun), true);
  // From the 600th second on the ride should be over, so the window moves with the time; the 90th percentile from the 840th.
  assert.ok(changes.size > 15 && changes.size < 60, String(changes.size));
  assert.equal(delivery.eta?.change?.why, 'TIME_PASSED');
});

test('the reason is the kitchen while its food is awaited, and that it is late once the rider stands there', () => {
  const whyAt = (changes: Partial<Delivery>, rider: Place | undefined, now: number) => {
    const first = refreshed(assigned({ pickup: north(1_000), ...changes }), north(0), NOON, 'RIDER_ASSIGNED');
    const moved = { ...first, eta: { ...(first.eta ?? assert.fail()), change: undefined as never } };
    return refreshed(moved, rider, now).eta?.change?.why;
  };
  assert.equal(whyAt({ readyAt: NOON + 900_000 }, north(0), NOON + 60_000), 'KITCHEN');
  assert.equal(whyAt({ readyAt: NOON + 70_000 }, north(1_000), NOON + 60_000), 'KITCHEN');
  assert.equal(whyAt({ readyAt: NOON + 70_000 }, north(0), NOON + 60_000), 'RIDER_POSITION');
  assert.equal(whyAt({ readyAt: NOON + 60_000 }, north(1_050), NOON + 60_000), 'KITCHEN_LATE');
  assert.equal(whyAt({ readyAt: NOON + 60_000 }, north(1_200), NOON + 60_000), 'RIDER_POSITION');
  assert.equal(whyAt({}, north(1_000), NOON + 60_000), 'RIDER_POSITION');
  assert.equal(whyAt({}, undefined, NOON + 60_000), 'TIME_PASSED');
});
