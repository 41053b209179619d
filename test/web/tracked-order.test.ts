/** What the page of a tracking link says about an order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ORDER_STATUSES } from '../../internal/domain/order.ts';
import { againHash, againOf } from '../../web/again.ts';
import { distanceText, HEIGHT, projection, WIDTH } from '../../web/track/projection.ts';
import {
  cancelText,
  countdownText,
  headlineOf,
  moneyText,
  moodOf,
  reasonOf,
  stepsOf,
  type Tracked,
  whyOf,
} from '../../web/track/tracked-order.ts';

const NOW = Date.parse('2030-01-01T12:00:00Z');
const at = (minutes: number) => new Date(NOW + minutes * 60_000).toISOString();
const euros = (value: number) => `€${value}`;

function tracked(changes: Partial<Tracked> = {}): Tracked {
  return {
    orderId: 'o1',
    status: 'CONFIRMED',
    steps: [
      'CREATED',
      'PROCESSING',
      'CONFIRMED',
      'ACCEPTED',
      'RIDER_ASSIGNED',
      'OUT_FOR_DELIVERY',
      'DELIVERED',
    ],
    items: [],
    totalAmount: 12,
    currency: 'EUR',
    payment: 'AUTHORIZED',
    refund: { state: 'NONE', amount: 0 },
    arrival: null,
    delivery: null,
    timeline: ['CREATED', 'PROCESSING', 'CONFIRMED'].map((status, n) => ({ status, at: at(n - 9) })),
    dueAt: at(-9),
    canCancel: true,
    canReschedule: false,
    version: 3,
    updatedAt: at(-1),
    ...changes,
  };
}
const states = (order: Tracked) => stepsOf(order).map(({ status, state }) => `${status} ${state}`);

test('every status has a headline, and only a scheduled order is said to be scheduled', () => {
  for (const status of ORDER_STATUSES)
    assert.match(headlineOf(tracked({ status }), NOW), /^[A-Z][a-z]*[a-z .!E]+$/, status);
  const waiting = tracked({ status: 'CREATED', dueAt: at(30) });
  assert.equal(headlineOf(waiting, NOW), 'Your order is scheduled');
  assert.equal(headlineOf(waiting, NOW + 30 * 60_000), 'We have your order');
});

test('the steps are done up to the current one, with their times, and processing is no step of its own', () => {
  const order = tracked();
  assert.deepEqual(states(order).slice(0, 3), ['CREATED done', 'CONFIRMED current', 'ACCEPTED ahead']);
  assert.equal(stepsOf(order)[0]?.at, at(-9));
  assert.equal(states(tracked({ status: 'PROCESSING' }))[0], 'CREATED current');
  assert.equal(states(tracked({ status: 'DELIVERED' })).at(-1), 'DELIVERED done');
});

test('the steps of an order that ended badly are those it reached, and how it ended', () => {
  for (const status of ['FAILED', 'REJECTED', 'CANCELLED']) {
    const order = tracked({ status, reason: 'OUT_OF_STOCK' });
    assert.deepEqual(states(order), ['CREATED done', 'CONFIRMED done', `${status} failed`]);
    assert.deepEqual([moodOf(order), reasonOf(order)], ['bad', 'Out of stock']);
  }
});

test('a countdown shows the two largest units that are left', () => {
  const texts = [90, 3_599, 3_600, 8_100, 90_000, -5].map((left) => countdownText(NOW + left * 1_000, NOW));
  assert.deepEqual(texts, ['1:30', '59:59', '1 h 0 min', '2 h 15 min', '1 d 1 h', '0:00']);
});

test('what happens to the money is said for each state of the payment and of a refund', () => {
  const said = (changes: Partial<Tracked>) => moneyText(tracked(changes), euros);
  assert.equal(said({}), '€12 is held, and charged at the end.');
  assert.equal(said({ payment: 'CAPTURED' }), '€12 was charged.');
  assert.equal(said({ payment: 'PENDING' }), 'Nothing has been charged.');
  assert.equal(said({ refund: { state: 'PENDING', amount: 12 } }), '€12 is being given back.');
  const done = { state: 'DONE', amount: 12 } as const;
  assert.equal(said({ payment: 'VOIDED', refund: done }), 'The hold of €12 was released.');
  assert.equal(said({ payment: 'REFUNDED', refund: done }), '€12 was refunded.');
  assert.match(cancelText(tracked({ cancelCosts: 12 }), euros), /costs €12/);
  assert.match(cancelText(tracked({ cancelCosts: 0 }), euros), /costs nothing: the hold/);
});

test('the reason of a changed window is in words, with the window before', () => {
  const arrival = { from: at(10), to: at(20), computedAt: at(0) };
  assert.equal(whyOf(arrival, NOW), '');
  const late = { ...arrival, why: 'KITCHEN_LATE', before: { from: at(1), to: at(2) } } as const;
  assert.match(whyOf(late, NOW), /^The kitchen is taking longer\. Before, it was \d/);
});

test('an earlier order is read back from its link, and what is no line of one is dropped', () => {
  const again = {
    restaurantId: 'r&1',
    items: [
      { itemId: 'a+b', quantity: 2 },
      { itemId: 'c', quantity: 1 },
    ],
  };
  assert.deepEqual(againOf(againHash(again)), again);
  for (const hash of ['', '#order=1', '#again=', '#again=x%20y', '#again=2'])
    assert.equal(againOf(hash), undefined);
});

test('the map has every place inside, north up and west left, with one scale', () => {
  const [south, north] = [
    { latitude: 19, longitude: 72 },
    { latitude: 19.01, longitude: 72.02 },
  ];
  const toPoint = projection([south, north]);
  const [[x1, y1], [x2, y2]] = [toPoint(south), toPoint(north)];
  assert.ok(x1 < x2 && y1 > y2);
  for (const [x, y] of [toPoint(south), toPoint(north)])
    assert.ok(x >= 0 && x <= WIDTH && y >= 0 && y <= HEIGHT, `${x}, ${y}`);
  const [x, y] = projection([south, south])(south);
  assert.deepEqual([x, y], [WIDTH / 2, HEIGHT / 2]);
  assert.equal(distanceText(south, north), '2.4 km');
  assert.equal(distanceText(south, south), '50 m');
});
