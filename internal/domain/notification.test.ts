/** Which change of an order causes a message, to whom, what it says, and when it is tried again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOON } from '../../test/support/manual-clock.ts';
import { fact } from './announce.ts';
import { FOOD_ORDERING } from './dialects.ts';
import type { EventType, Payload } from './events.ts';
import {
  afterAttempt,
  NOTIFIABLE_EVENTS,
  type NotifiableEvent,
  type Notification,
  notificationOf,
  recipientOf,
  retryDelayMs,
  templateOf,
  timeOfDay,
} from './notification.ts';
import { ORDER_STATUSES } from './order.ts';

function said<T extends EventType>(type: T, payload: Payload<T>): NotifiableEvent {
  return fact(type, 'o-1', payload, { eventId: 'e', at: NOON, producer: 'test' }) as NotifiableEvent;
}
const CREATED = said('order.created', {
  version: 1,
  items: [],
  totalAmount: '1.00',
  currency: 'USD',
  dueAt: new Date(NOON).toISOString(),
});
const ACCEPTED = said('order.accepted', { status: 'ACCEPTED', version: 4 });

const waiting: Notification = notificationOf(ACCEPTED, '+1-555-0100', '17:35');

test('every word that food-ordering has for a status is told once, and COMPLETED by its own name', () => {
  const templates = NOTIFIABLE_EVENTS.map((type) => {
    if (type === 'order.created') return templateOf(CREATED);
    const status = type.slice('order.'.length).toUpperCase() as (typeof ORDER_STATUSES)[number];
    assert.ok(ORDER_STATUSES.includes(status));
    return templateOf(said(type, { status, version: 2 } as Payload<typeof type>));
  });
  assert.deepEqual(
    templates.filter((template) => template !== 'ORDER_COMPLETED').sort(),
    [...new Set(Object.values(FOOD_ORDERING))].map((word) => `ORDER_${word}`).sort(),
  );
  assert.equal(new Set(templates).size, NOTIFIABLE_EVENTS.length);
});

test('a message goes to the phone of the contact, else to the customer, else to nobody', () => {
  assert.equal(recipientOf({ customerId: 'c1', contact: { phone: '+1-555-0100' } }), '+1-555-0100');
  assert.equal(recipientOf({ customerId: 'c1', contact: { name: 'Asha' } }), 'c1');
  assert.equal(recipientOf({ contact: { name: 'Asha' } }), undefined);
});

test('a message says when the order will be there, while it is on its way and where that is known', () => {
  assert.deepEqual(waiting.variables, { orderId: 'o-1', eta: '17:35' });
  assert.deepEqual(notificationOf(ACCEPTED, 'c1', undefined).variables, { orderId: 'o-1' });
  const delivered = said('order.delivered', { status: 'DELIVERED', version: 8 });
  assert.deepEqual(notificationOf(delivered, 'c1', '17:35').variables, { orderId: 'o-1' });
});

test('a message about a failure says why', () => {
  const failed = said('order.failed', { status: 'FAILED', version: 3, reason: 'OUT_OF_STOCK' });
  assert.deepEqual(notificationOf(failed, 'c1', undefined).variables, {
    orderId: 'o-1',
    reason: 'OUT_OF_STOCK',
  });
});

test('times of day are those of the time zone, from 00:00 to 23:59', () => {
  const moment = Date.UTC(2025, 6, 2, 17, 35);
  assert.equal(timeOfDay('UTC')(moment), '17:35');
  assert.equal(timeOfDay('Asia/Kolkata')(moment), '23:05');
  assert.equal(timeOfDay('UTC')(Date.UTC(2025, 6, 2, 0, 5)), '00:05');
  assert.equal(
    timeOfDay('America/Los_Angeles')(Date.UTC(2025, 0, 2, 17, 35)),
    '09:35',
    'without summer time',
  );
  assert.throws(() => timeOfDay('Mars/Olympus'), RangeError);
});

test('a message that was taken is SENT, and what went wrong before is forgotten', () => {
  const failed = afterAttempt(waiting, { outcome: 'failed', error: '500' }, NOON + 1);
  assert.deepEqual(failed, { ...waiting, attempts: 1, error: '500' });
  assert.deepEqual(afterAttempt(failed, { outcome: 'sent' }, NOON + 2), {
    ...waiting,
    state: 'SENT',
    attempts: 1,
    sentAt: NOON + 2,
  });
});

test('a message is given up once the provider refuses it, or after a day', () => {
  const state = (outcome: 'refused' | 'failed' | 'away', after: number) =>
    afterAttempt(waiting, { outcome, error: 'no' }, NOON + after).state;
  const day = 24 * 3_600_000;
  assert.equal(state('refused', 0), 'GIVEN_UP');
  assert.equal(state('failed', day - 1), 'PENDING');
  assert.equal(state('failed', day), 'GIVEN_UP');
  assert.equal(state('away', day - 1), 'PENDING');
  assert.equal(state('away', day), 'GIVEN_UP');
});

test('retries wait 5 seconds, and twice as long each time up to 5 minutes', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 6, 7, 1_000].map(retryDelayMs),
    [5_000, 5_000, 10_000, 20_000, 160_000, 300_000, 300_000],
  );
});
