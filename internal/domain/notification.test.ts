/** Tests of messages to customers: their causes, recipients, contents and retries. */
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

function eventOf<T extends EventType>(type: T, payload: Payload<T>): NotifiableEvent {
  return fact(type, 'o-1', payload, { eventId: 'e', at: NOON, producer: 'test' }) as NotifiableEvent;
}
const CREATED = eventOf('order.created', {
  version: 1,
  items: [],
  totalAmount: '1.00',
  currency: 'USD',
  dueAt: new Date(NOON).toISOString(),
});
const ACCEPTED = eventOf('order.accepted', { status: 'ACCEPTED', version: 4 });

const waiting: Notification = notificationOf(ACCEPTED, '+1-555-0100', '17:35');

test('every food-ordering status word has one template, and COMPLETED has a template of its own', () => {
  const templates = NOTIFIABLE_EVENTS.map((type) => {
    if (type === 'order.created') return templateOf(CREATED);
    const status = type.slice('order.'.length).toUpperCase() as (typeof ORDER_STATUSES)[number];
    assert.ok(ORDER_STATUSES.includes(status));
    return templateOf(eventOf(type, { status, version: 2 } as Payload<typeof type>));
  });
  assert.deepEqual(
    templates.filter((template) => template !== 'ORDER_COMPLETED').sort(),
    [...new Set(Object.values(FOOD_ORDERING))].map((word) => `ORDER_${word}`).sort(),
  );
  assert.equal(new Set(templates).size, NOTIFIABLE_EVENTS.length);
});

test('a message goes to the contact’s phone, else to the customer’s id, and without either there is no recipient', () => {
  assert.equal(recipientOf({ customerId: 'c1', contact: { phone: '+1-555-0100' } }), '+1-555-0100');
  assert.equal(recipientOf({ customerId: 'c1', contact: { name: 'Asha' } }), 'c1');
  assert.equal(recipientOf({ contact: { name: 'Asha' } }), undefined);
});

test('a message contains the ETA if it is known and the order is not delivered yet', () => {
  assert.deepEqual(waiting.variables, { orderId: 'o-1', eta: '17:35' });
  assert.deepEqual(notificationOf(ACCEPTED, 'c1', undefined).variables, { orderId: 'o-1' });
  const delivered = eventOf('order.delivered', { status: 'DELIVERED', version: 8 });
  assert.deepEqual(notificationOf(delivered, 'c1', '17:35').variables, { orderId: 'o-1' });
});

test('a message about a failure contains the reason', () => {
  const failed = eventOf('order.failed', { status: 'FAILED', version: 3, reason: 'OUT_OF_STOCK' });
  assert.deepEqual(notificationOf(failed, 'c1', undefined).variables, {
    orderId: 'o-1',
    reason: 'OUT_OF_STOCK',
  });
});

test('times of day are shown in the configured time zone, from 00:00 to 23:59', () => {
  const moment = Date.UTC(2025, 6, 2, 17, 35);
  assert.equal(timeOfDay('UTC')(moment), '17:35');
  assert.equal(timeOfDay('Asia/Kolkata')(moment), '23:05');
  assert.equal(timeOfDay('UTC')(Date.UTC(2025, 6, 2, 0, 5)), '00:05');
  assert.equal(
    timeOfDay('America/Los_Angeles')(Date.UTC(2025, 0, 2, 17, 35)),
    '09:35',
    'standard time in January',
  );
  assert.throws(() => timeOfDay('Mars/Olympus'), RangeError);
});

test('a message that the provider accepted is SENT, and the fault of earlier attempts is removed', () => {
  const failed = afterAttempt(waiting, { outcome: 'failed', error: '500' }, NOON + 1);
  assert.deepEqual(failed, { ...waiting, attempts: 1, error: '500' });
  assert.deepEqual(afterAttempt(failed, { outcome: 'sent' }, NOON + 2), {
    ...waiting,
    state: 'SENT',
    attempts: 1,
    sentAt: NOON + 2,
  });
});

test('a message is abandoned when the provider refuses it, or after a day', () => {
  const state = (outcome: 'refused' | 'failed' | 'unavailable', after: number) =>
    afterAttempt(waiting, { outcome, error: 'no' }, NOON + after).state;
  const day = 24 * 3_600_000;
  assert.equal(state('refused', 0), 'GIVEN_UP');
  assert.equal(state('failed', day - 1), 'PENDING');
  assert.equal(state('failed', day), 'GIVEN_UP');
  assert.equal(state('unavailable', day - 1), 'PENDING');
  assert.equal(state('unavailable', day), 'GIVEN_UP');
});

test('the delay between retries doubles from 5 seconds up to 5 minutes', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 6, 7, 1_000].map(retryDelayMs),
    [5_000, 5_000, 10_000, 20_000, 160_000, 300_000, 300_000],
  );
});
