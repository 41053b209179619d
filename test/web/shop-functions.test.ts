/** The functions that build the texts of the pages of a kitchen and of a rider. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  arrivedSince,
  lanesOf,
  leftText,
  sinceText,
  type Ticket,
  usualMinutes,
} from '../../web/kitchen/tickets.ts';
import { type Carried, goalOf, readyText, riderIdFrom, stepTowards } from '../../web/rider/carried.ts';
import { NOON } from '../support/manual-clock.ts';

const at = (minutes: number) => new Date(NOON + minutes * 60_000).toISOString();
const ticket = (orderId: string, more: Partial<Ticket> = {}): Ticket => ({
  ...{ orderId, status: 'OPEN', openedAt: at(0), leavesBy: 'RIDER', items: [] },
  ...more,
});

test('each ticket is in one lane', () => {
  const orders = [
    ticket('new'),
    ticket('cooking', { status: 'ACCEPTED' }),
    ticket('ready', { status: 'ACCEPTED', readyAt: at(1) }),
  ];
  const { fresh, cooking, ready } = lanesOf(orders);
  assert.deepEqual([fresh, cooking, ready], [[orders[0]], [orders[1]], [orders[2]]]);
});

test('a ticket is news once, and none of the first board is', () => {
  const [a, b] = [ticket('a'), ticket('b')];
  assert.deepEqual(arrivedSince(undefined, [a]), []);
  assert.deepEqual(arrivedSince([a], [a, b]), [b]);
  assert.deepEqual(arrivedSince([a, b], [a, b]), []);
  assert.deepEqual(arrivedSince([], [ticket('c', { status: 'ACCEPTED' })]), [], 'it was answered elsewhere');
});

test('times of a kitchen are in minutes', () => {
  assert.deepEqual(
    [0, 0.9, 1, 119, 120].map((minutes) => sinceText(at(0), NOON + minutes * 60_000)),
    ['just now', 'just now', '1 min ago', '119 min ago', '2 h ago'],
  );
  assert.deepEqual(leftText(at(5), NOON), { text: '5 min left', isLate: false });
  assert.deepEqual(leftText(at(0), NOON), { text: 'due now', isLate: false });
  assert.deepEqual(leftText(at(-3), NOON), { text: '3 min late', isLate: true });
  assert.deepEqual(
    [0, 300, 301, 900].map((preparationS) => usualMinutes({ preparationS })),
    [5, 5, 10, 15],
  );
});

test('a rider’s id is made of the name', () => {
  assert.deepEqual(['Ravi Kumar', ' José-Ángel ', '!!', 'x'.repeat(90)].map(riderIdFrom), [
    'ravi-kumar',
    'jose-angel',
    '',
    'x'.repeat(64),
  ]);
});

test('the simulated ride goes to the restaurant, then to the door or, where that is unknown, somewhere near', () => {
  const pickup = { location: { lat: 19, lng: 72 } };
  const order = (status: Carried['status'], dropoff: Carried['dropoff']): Carried => ({
    ...{ orderId: 'o', status, pickup, dropoff },
  });
  const door = { lat: 19.01, lng: 72.02 };
  assert.deepEqual(goalOf(order('ASSIGNED', { location: door })), pickup.location);
  assert.deepEqual(goalOf(order('PICKED_UP', { location: door })), door);
  assert.notDeepEqual(goalOf(order('PICKED_UP', {})), undefined);
  let place = pickup.location;
  for (let step = 0; step < 100; step += 1) {
    const next = stepTowards(place, door, 60);
    const metres = Math.hypot(next.lat - place.lat, (next.lng - place.lng) * 0.9455) * 111_195;
    assert.ok(metres < 61, `${metres} m in one step`);
    place = next;
  }
  assert.deepEqual(place, door);
});

test('a rider is told when the food is ready', () => {
  assert.equal(readyText({}, NOON), '');
  assert.equal(readyText({ readyAt: at(-1) }, NOON), 'The food is ready.');
  assert.match(readyText({ readyAt: at(20) }, NOON), /^Ready at /);
});
