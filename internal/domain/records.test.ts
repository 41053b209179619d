/** Tests of the records that external consumers rely on: each dialect's status words, flat fields and topics. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sampleEvent } from '../../cmd/event-docs/samples.ts';
import {
  ADDRESS,
  after,
  CONTENTS,
  changedEvent,
  createdEvent,
  movedTo,
  orderAt,
  placedOrder,
} from '../../test/support/builders.ts';
import { NOON } from '../../test/support/manual-clock.ts';
import { fact } from './announce.ts';
import {
  DELIVERY_ETA,
  FOOD_ORDERING,
  ORDER_MANAGER,
  SCHEDULED_ORDERS,
  TRANSACTIONAL_OUTBOX,
} from './dialects.ts';
import { type Event, type EventType, PAYLOADS } from './events.ts';
import { ORDER_STATUSES, type Order, type OrderStatus } from './order.ts';
import { toRecord } from './records.ts';
import { TOPICS } from './topics.ts';

const NOON_TEXT = '2030-01-01T12:00:00.000Z';
const TYPES = Object.keys(PAYLOADS) as EventType[];

/** The word of each dialect: scheduled-orders, food-ordering, order-manager, transactional-outbox, delivery-eta. */
const WORDS: Record<OrderStatus, readonly [string, string, string, string, string]> = {
  // order-manager has no word for CREATED, and no such record is published on its topics.
  CREATED: ['CREATED', 'PLACED', ORDER_MANAGER.CREATED, 'PLACED', 'CREATED'],
  PROCESSING: ['PROCESSING', 'PLACED', 'PROCESSING', 'PLACED', 'CREATED'],
  CONFIRMED: ['PROCESSING', 'PLACED', 'CONFIRMED', 'PLACED', 'CONFIRMED'],
  ACCEPTED: ['PROCESSING', 'ACCEPTED', 'CONFIRMED', 'PREPARING', 'CONFIRMED'],
  PREPARING: ['PROCESSING', 'ACCEPTED', 'CONFIRMED', 'PREPARING', 'CONFIRMED'],
  RIDER_ASSIGNED: ['PROCESSING', 'RIDER_ASSIGNED', 'CONFIRMED', 'PREPARING', 'ASSIGNED'],
  OUT_FOR_DELIVERY: ['PROCESSING', 'PICKED_UP', 'CONFIRMED', 'OUT_FOR_DELIVERY', 'OUT_FOR_DELIVERY'],
  DELIVERED: ['COMPLETED', 'DELIVERED', 'CONFIRMED', 'DELIVERED', 'DELIVERED'],
  COMPLETED: ['COMPLETED', 'DELIVERED', 'CONFIRMED', 'DELIVERED', 'COMPLETED'],
  FAILED: ['FAILED', 'FAILED', 'FAILED', 'CANCELLED', 'FAILED'],
  REJECTED: ['FAILED', 'REJECTED', 'FAILED', 'CANCELLED', 'FAILED'],
  CANCELLED: ['FAILED', 'CANCELLED', 'FAILED', 'CANCELLED', 'CANCELLED'],
};

/** The event of a change to each status. */
const changes = ORDER_STATUSES.filter((status) => status !== 'CREATED').map(
  (status) =>
    [status, changedEvent(orderAt(status, status === 'COMPLETED' ? 'items' : 'everything'))] as const,
);
const travelled = (event: Event, topic: string): Record<string, unknown> =>
  JSON.parse(JSON.stringify(toRecord(event, topic)));

/** The record's fields that are not part of the envelope. */
function flat(event: Event, topic: string): Record<string, unknown> {
  const envelope = Object.keys(event);
  return Object.fromEntries(
    Object.entries(travelled(event, topic)).filter(([field]) => !envelope.includes(field)),
  );
}

describe('the words of the dialects', () => {
  for (const status of ORDER_STATUSES) {
    test(`the words of the five dialects for an order that is ${status} are ${WORDS[status].join(', ')}`, () => {
      assert.deepEqual(
        [SCHEDULED_ORDERS, FOOD_ORDERING, ORDER_MANAGER, TRANSACTIONAL_OUTBOX, DELIVERY_ETA].map(
          (words) => words[status],
        ),
        WORDS[status],
      );
    });
  }
});

test('records on the raw topics and on timers are the envelope alone', () => {
  for (const type of TYPES)
    for (const topic of TOPICS[type].filter((name) => name.startsWith('raw.') || name === 'timers')) {
      const event = sampleEvent(type);
      assert.deepEqual(travelled(event, topic), JSON.parse(JSON.stringify(event)), type);
    }
});

describe('the flat fields of food-ordering', () => {
  const origin = { eventId: 'e1', at: NOON, producer: 'test' };

  test('a record on order_placed has the items, the customer, the restaurant and the delivery address', () => {
    const content = { ...CONTENTS.everything, customerId: 'c1', specialInstructions: 'No onions' };
    assert.deepEqual(flat(createdEvent(placedOrder({ content })), 'order_placed'), {
      status: 'PLACED',
      createdAt: NOON_TEXT,
      customerId: 'c1',
      restaurantId: 'r1',
      items: [{ itemId: 'sushi-set', quantity: 2 }],
      deliveryAddress: ADDRESS,
      specialInstructions: 'No onions',
    });
  });

  test('a record on order_accepted has the restaurant, the time of acceptance and the estimated ready time', () => {
    const answer = {
      restaurantId: 'r1',
      acceptedAt: NOON_TEXT,
      estimatedReadyTime: '2030-01-01T12:20:00.000Z',
    };
    assert.deepEqual(flat(fact('restaurant.accepted', 'o1', answer, origin), 'order_accepted'), {
      status: 'ACCEPTED',
      ...answer,
    });
  });

  test('a record on rider_request has the pickup location, the delivery address and the ready time', () => {
    const request = {
      pickupLocation: { restaurantId: 'r1', address: '5 Colaba' },
      deliveryAddress: ADDRESS,
      readyAt: NOON_TEXT,
    };
    assert.deepEqual(flat(fact('rider.requested', 'o1', request, origin), 'rider_request'), request);
  });

  test('a record on rider_assigned has exactly the fields of its document, its own eventType among them', () => {
    const assigned = {
      riderId: 'rider-1',
      assignedAt: NOON_TEXT,
      pickupLocation: { restaurantId: 'r1', address: '5 Colaba' },
    };
    const event = fact('delivery.assigned', 'o1', assigned, origin);
    const record = travelled(event, 'rider_assigned');
    assert.deepEqual(flat(event, 'rider_assigned'), assigned);
    assert.deepEqual([record.eventType, record.orderId, record.producer], ['rider_assigned', 'o1', 'test']);
    assert.equal(travelled(event, 'raw.delivery-events').eventType, 'delivery.assigned');
  });

  test('a record on notification_sent has the template, the recipient and the time', () => {
    const sent = { template: 'ORDER_ACCEPTED', to: '+91 22 5550', sentAt: NOON_TEXT };
    assert.deepEqual(flat(fact('notification.sent', 'o1', sent, origin), 'notification_sent'), sent);
  });

  for (const [status, event] of changes) {
    test(`a record on order_events of an order that is ${status} has the status ${WORDS[status][1]} and its time`, () => {
      const { status: word, at } = flat(event, 'order_events');
      assert.deepEqual([word, at], [WORDS[status][1], NOON_TEXT]);
    });
  }

  test('a record on order_events of a new order has the status PLACED', () => {
    const { status, at } = flat(createdEvent(placedOrder()), 'order_events');
    assert.deepEqual([status, at], ['PLACED', NOON_TEXT]);
  });
});

describe('the aliases of transactional-outbox', () => {
  for (const [status, event] of changes) {
    const word = WORDS[status][3].toLowerCase();
    const names = [...(word === 'cancelled' ? ['order.cancelled.v1'] : []), `order.status.${word}.v1`];
    test(`a record on order_events of a change to ${status} has the aliases ${names.join(' and ')}`, () => {
      const record = travelled(event, 'order_events');
      assert.deepEqual(record.aliases, names);
      assert.equal(record.eventType, event.eventType, 'the event keeps its own name');
    });
  }

  for (const [type, name] of [
    ['order.created', 'order.placed.v1'],
    ['inventory.reserved', 'inventory.deducted.success.v1'],
    ['inventory.low_stock', 'inventory.low_stock_alert.v1'],
  ] as const) {
    test(`a record on order_events of type ${type} has the alias ${name}`, () => {
      assert.deepEqual(travelled(sampleEvent(type), 'order_events').aliases, [name]);
    });
  }

  test('records on other topics have no aliases', () => {
    for (const type of TYPES)
      for (const topic of TOPICS[type])
        assert.equal(
          'aliases' in travelled(sampleEvent(type), topic),
          topic === 'order_events',
          `${type} on ${topic}`,
        );
  });
});

describe('the flat fields of order-manager', () => {
  const priced: Order = placedOrder({
    content: {
      ...CONTENTS.items,
      id: 'o1',
      customerId: 'user-1',
      total: { minor: 5900, currency: 'USD' },
      price: { baseMinor: 6000, discountMinor: 600, feesMinor: 500 },
    },
  });
  const confirmed = movedTo(priced, 'PROCESSING', 'CONFIRMED');
  const failed = after(priced, { type: 'failed', at: NOON, reason: 'NO_STOCK' });
  const details = {
    final_total: 59,
    base_total: 60,
    discount_applied: 6,
    fees_applied: 5,
  };
  const enriched = {
    user_id: 'user-1',
    items: [{ item_id: 'sushi-set', quantity: 2, price: 9.5 }],
    total_price: 59,
  };

  for (const [status, event] of changes) {
    test(`a record on order_status_updates of an order that is ${status} has the status ${WORDS[status][2]} and its time`, () => {
      const { order_id, status: word, timestamp, details } = flat(event, 'order_status_updates');
      assert.deepEqual([order_id, word, timestamp], [event.orderId, WORDS[status][2], NOON_TEXT]);
      assert.equal((details as { status: string }).status, status, 'the details have the canonical word');
    });
  }

  test('the details of an update have the parts of the total, and the reason of a failure', () => {
    assert.deepEqual(flat(changedEvent(confirmed), 'order_status_updates'), {
      order_id: 'o1',
      status: 'CONFIRMED',
      timestamp: NOON_TEXT,
      details: { status: 'CONFIRMED', ...details },
    });
    assert.deepEqual(flat(changedEvent(failed), 'order_status_updates'), {
      order_id: 'o1',
      status: 'FAILED',
      timestamp: NOON_TEXT,
      details: { status: 'FAILED', reason: 'NO_STOCK', ...details },
    });
  });

  for (const order of [confirmed, failed, movedTo(confirmed, 'COMPLETED')]) {
    test(`a record on db_write_order_status of an order that is ${order.status} has user, items, prices and total`, () => {
      const event = changedEvent(order);
      assert.ok(TOPICS[event.eventType].includes('db_write_order_status'));
      assert.deepEqual(flat(event, 'db_write_order_status'), {
        ...flat(event, 'order_status_updates'),
        ...enriched,
      });
    });
  }

  test('a record on db_write_order_status of an order without items has only the fields of the update', () => {
    const event = changedEvent(movedTo(placedOrder(), 'PROCESSING', 'COMPLETED'));
    assert.deepEqual(flat(event, 'db_write_order_status'), flat(event, 'order_status_updates'));
  });
});
