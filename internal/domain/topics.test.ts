/** Tests of the topics of each event type, and of the topics for dead letters. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Event, type EventType, PAYLOADS } from './events.ts';
import {
  ALL_TOPICS,
  DEAD_LETTER_TOPICS,
  deadLetterTopic,
  INBOUND_TOPICS,
  OUTSIDE_TOPICS,
  TOPICS,
  topicsOf,
  typesOn,
} from './topics.ts';

const TYPES = Object.keys(PAYLOADS) as EventType[];

describe('the topics', () => {
  const CHANGE = ['raw.order-events', 'order_events', 'order_status_updates'];
  const ENRICHED = [...CHANGE, 'db_write_order_status'];
  /** The topics of the types that differ from those of their area. */
  const OWN: Partial<Record<EventType, readonly string[]>> = {
    'order.created': ['order.created', 'raw.order-events', 'order_placed', 'order_events'],
    'order.ready': ['order.ready'],
    'order.rescheduled': ['raw.order-events'],
    'order.noted': ['raw.order-events'],
    'order.validated': ['validated_orders'],
    'order.completed': [...ENRICHED, 'order.completed'],
    'order.confirmed': ENRICHED,
    'order.failed': ENRICHED,
    // These are on order_events for transactional-outbox, which has `aliases` for them.
    'inventory.reserved': ['raw.inventory-events', 'order_events'],
    'inventory.low_stock': ['raw.inventory-events', 'order_events'],
    'restaurant.accepted': ['order_accepted', 'raw.order-events'],
    'restaurant.rejected': ['raw.order-events'],
    'restaurant.ready': ['raw.order-events'],
    'rider.requested': ['rider_request'],
    'delivery.assigned': ['rider_assigned', 'raw.delivery-events'],
    'eta.updated': ['raw.delivery-events'],
    'notification.sent': ['notification_sent'],
  };
  const AREAS: Record<string, readonly string[]> = {
    order: CHANGE,
    inventory: ['raw.inventory-events'],
    payment: ['raw.payment-events'],
    delivery: ['raw.delivery-events'],
    timer: ['timers'],
  };
  for (const type of TYPES) {
    const topics = OWN[type] ?? AREAS[type.slice(0, type.indexOf('.'))] ?? [];
    test(`the topics of ${type} are ${topics.join(', ')}`, () => {
      assert.deepEqual([...TOPICS[type]].sort(), [...topics].sort());
    });
  }

  test('every topic has the dead-letter topic of its area', () => {
    const area: Record<string, string> = {
      'raw.inventory-events': 'dlq.inventory-events',
      'raw.payment-events': 'dlq.payment-events',
      'raw.delivery-events': 'dlq.delivery-events',
      rider_request: 'dlq.delivery-events',
      rider_assigned: 'dlq.delivery-events',
    };
    for (const topic of ALL_TOPICS.filter((name) => !name.startsWith('dlq.')))
      assert.equal(deadLetterTopic(topic), area[topic] ?? 'dlq.order-events', topic);
    for (const topic of DEAD_LETTER_TOPICS) assert.ok(ALL_TOPICS.includes(topic), topic);
  });

  test('a topic that an operator may disable is published to, and no service of Tiffin needs it', () => {
    for (const topic of [
      ...INBOUND_TOPICS,
      'order.ready',
      'timers',
      'rider_request',
      'rider_assigned',
      'order_accepted',
    ])
      assert.ok(!OUTSIDE_TOPICS.includes(topic), topic);
    for (const topic of OUTSIDE_TOPICS) {
      assert.ok(!topic.startsWith('raw.'), topic);
      assert.ok(typesOn(topic).length > 0, topic);
    }
  });

  test('typesOn lists the event types of a topic', () => {
    assert.deepEqual(typesOn('order.created'), ['order.created']);
    assert.deepEqual(typesOn('db_write_order_status').sort(), [
      'order.completed',
      'order.confirmed',
      'order.failed',
    ]);
    assert.deepEqual(typesOn('no-such-topic'), []);
  });

  test('ALL_TOPICS lists every topic once, inbound and dead-letter topics included', () => {
    assert.equal(new Set(ALL_TOPICS).size, ALL_TOPICS.length);
    for (const topic of [
      'order.created',
      'order.ready',
      'validated_orders',
      deadLetterTopic('order.created'),
    ])
      assert.ok(ALL_TOPICS.includes(topic), topic);
  });
});

test('the final record of an order goes to db_write_order_status once: on its completion only if it has no items', () => {
  const completed = (items: object[]) =>
    topicsOf({ eventType: 'order.completed', payload: { items } } as unknown as Event);
  assert.equal(completed([]).includes('db_write_order_status'), true);
  assert.equal(completed([{ itemId: 'a', quantity: 1 }]).includes('db_write_order_status'), false);
});
