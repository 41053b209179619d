/** Tests of deliveries that follow their orders, and of distances on the globe. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { orderAt } from '../../test/support/builders.ts';
import { NOON } from '../../test/support/manual-clock.ts';
import {
  announceDelivery,
  assign,
  type Delivery,
  deliver,
  distanceM,
  followOrder,
  type Place,
  pickUp,
  release,
} from './delivery.ts';
import { parseEvent } from './events.ts';
import { ORDER_STATUSES, type OrderId } from './order.ts';

const requested: Delivery = { orderId: 'o' as OrderId, state: 'REQUESTED', attempts: 0, requestedAt: NOON };
const assigned = assign(requested, { riderId: 'ravi', at: NOON, holdsPlace: true });
const pickedUp = pickUp(assigned, NOON);

test('each state of a delivery is announced once, as a valid event, with and without a rider', () => {
  const at = new Date(NOON).toISOString();
  const states = [requested, assigned, pickedUp, deliver(pickedUp, NOON), release(pickedUp)];
  const withdrawn = release({ ...requested, attempts: 3 });
  const origin = { eventId: 'e1', at: NOON + 1, producer: 'delivery-service' };
  const announced = [...states, withdrawn].map((delivery) => {
    const event = announceDelivery(undefined, delivery, origin);
    assert.ok('event' in parseEvent(event), delivery.state);
    assert.equal(announceDelivery(delivery, { ...delivery, attempts: 9 }, origin), undefined);
    return [event?.eventType, event?.payload];
  });
  assert.deepEqual(announced, [
    ['delivery.requested', { requestedAt: at }],
    ['delivery.assigned', { riderId: 'ravi', assignedAt: at }],
    ['delivery.picked_up', { riderId: 'ravi', pickedUpAt: at }],
    ['delivery.delivered', { riderId: 'ravi', deliveredAt: at }],
    ['delivery.released', { riderId: 'ravi' }],
    ['delivery.withdrawn', { searches: 3 }],
  ]);
});

/** An order with a delivery is never COMPLETED. */
const STATUSES = ORDER_STATUSES.filter((status) => status !== 'COMPLETED');

test('a delivery follows its order when the order changes without a report of the rider', () => {
  const followed = Object.fromEntries(
    STATUSES.map((status) => [
      status,
      [requested, assigned, pickedUp].map((delivery) => followOrder(delivery, orderAt(status))?.state),
    ]),
  );
  const stays = [undefined, undefined, undefined];
  const released = ['RELEASED', 'RELEASED', 'RELEASED'];
  assert.deepEqual(followed, {
    CREATED: stays,
    PROCESSING: stays,
    CONFIRMED: stays,
    ACCEPTED: stays,
    PREPARING: stays,
    RIDER_ASSIGNED: ['RELEASED', undefined, undefined],
    OUT_FOR_DELIVERY: ['RELEASED', 'PICKED_UP', undefined],
    DELIVERED: ['RELEASED', 'DELIVERED', 'DELIVERED'],
    FAILED: released,
    REJECTED: released,
    CANCELLED: released,
  });
});

test('a delivery that has ended follows no further change, and does not count in its rider’s load', () => {
  for (const status of STATUSES) {
    const ended = followOrder(assigned, orderAt(status));
    if (!ended || ended.state === 'PICKED_UP') continue;
    assert.equal(ended.holdsPlace, undefined);
    assert.equal(ended.riderId, 'ravi');
    for (const later of STATUSES) assert.equal(followOrder(ended, orderAt(later)), undefined);
  }
});

const CHURCHGATE: Place = [18.9353, 72.8273];
const BANDRA: Place = [19.0544, 72.8402];

test('a degree of latitude is 111.2 km, and Churchgate to Bandra 13.3 km', () => {
  assert.ok(Math.abs(distanceM([0, 0], [1, 0]) - 111_195) < 1);
  assert.ok(Math.abs(distanceM(CHURCHGATE, BANDRA) - 13_312) < 10, String(distanceM(CHURCHGATE, BANDRA)));
});

const places = fc.tuple(
  fc.double({ min: -90, max: 90, noNaN: true }),
  fc.double({ min: -180, max: 180, noNaN: true }),
);

test('a distance is symmetric, zero to the same place, and at most half the circumference of the earth', () => {
  fc.assert(
    fc.property(places, places, (from, to) => {
      const distance = distanceM(from, to);
      assert.equal(distance, distanceM(to, from));
      assert.ok(distance >= 0 && distance <= Math.PI * 6_371_009, String(distance));
      assert.equal(distanceM(from, from), 0);
    }),
  );
});
