/** Tests of the event schemas: each type survives JSON, and its records have the flat fields of each topic. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sampleEvent } from '../../cmd/event-docs/samples.ts';
import { ADDRESS, CONTENTS, movedTo, placedOrder, readyEvent } from '../../test/support/builders.ts';
import { NOON } from '../../test/support/manual-clock.ts';
import { announce } from './announce.ts';
import { FOOD_ORDERING, ORDER_MANAGER } from './dialects.ts';
import { type Event, type EventType, isEventType, PAYLOADS, parseEvent } from './events.ts';
import type { Milestone, Order, OrderStatus } from './order.ts';
import { evolve, type OrderEvent } from './order-decisions.ts';
import { toRecord } from './records.ts';
import { TOPICS, typesOn } from './topics.ts';

const LATER = NOON + 60_000;
const ORIGIN = { producer: 'order-service', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` };
const ORDER = placedOrder({
  content: { ...CONTENTS.everything, id: 'o-1', customerId: 'c1' },
  scheduledAt: LATER,
});
const CREATED: OrderEvent = { type: 'created', at: NOON, content: ORDER, scheduledAt: LATER, dueAt: LATER };

function announced(change: OrderEvent, before: Order = ORDER): Event {
  return announce(change, evolve(before, change), 'e-1', ORIGIN);
}

const advanced = (to: Exclude<Milestone, 'CREATED'>) => announced({ type: 'advanced', at: LATER, to });

const CHANGES: Partial<Record<EventType, Event>> = {
  'order.created': announced(CREATED),
  'order.rescheduled': announced({ type: 'rescheduled', at: NOON, scheduledAt: LATER, dueAt: LATER }),
  'order.ready': readyEvent('o-1', LATER),
  'order.processing': advanced('PROCESSING'),
  'order.confirmed': advanced('CONFIRMED'),
  'order.accepted': advanced('ACCEPTED'),
  'order.preparing': advanced('PREPARING'),
  'order.rider_assigned': advanced('RIDER_ASSIGNED'),
  'order.out_for_delivery': advanced('OUT_FOR_DELIVERY'),
  'order.delivered': advanced('DELIVERED'),
  'order.completed': advanced('COMPLETED'),
  'order.failed': announced({ type: 'failed', at: LATER, reason: 'NO_STOCK' }),
  'order.rejected': announced({ type: 'rejected', at: LATER, reason: 'CLOSED' }),
  'order.cancelled': announced({ type: 'cancelled', at: LATER, reason: 'late' }),
  'order.noted': announced({ type: 'noted', at: LATER, fact: 'PREPARING' }),
};
const TYPES = Object.keys(PAYLOADS) as EventType[];
/** One event of each type: announced changes of the order, else a sample made from the schema. */
const EVERY = Object.fromEntries(TYPES.map((type) => [type, CHANGES[type] ?? sampleEvent(type)])) as Record<
  EventType,
  Event
>;

/** The event's record as a consumer reads it, parsed from JSON. */
function travelled(event: Event, topic = TOPICS[event.eventType].at(-1) as string): Record<string, unknown> {
  return JSON.parse(JSON.stringify(toRecord(event, topic)));
}

describe('an event', () => {
  for (const type of TYPES) {
    test(`an event of type ${type} is parsed from its record unchanged`, () => {
      const event = EVERY[type];
      assert.equal(event.eventType, type);
      assert.deepEqual(parseEvent(travelled(event)), { event: JSON.parse(JSON.stringify(event)) });
    });
  }

  test('an event carries the envelope, with the order id and the trace of its request', () => {
    const { payload, ...envelope } = EVERY['order.failed'];
    assert.deepEqual(envelope, {
      eventId: 'e-1',
      eventType: 'order.failed',
      schemaVersion: 1,
      occurredAt: '2030-01-01T12:01:00.000Z',
      producedAt: '2030-01-01T12:01:00.000Z',
      orderId: 'o-1',
      correlationId: 'o-1',
      producer: 'order-service',
      traceparent: ORIGIN.traceparent,
    });
    assert.deepEqual(JSON.parse(JSON.stringify(payload)), {
      status: 'FAILED',
      version: 2,
      reason: 'NO_STOCK',
      customerId: 'c1',
      items: [{ itemId: 'sushi-set', quantity: 2, unitPrice: '9.50' }],
      totalAmount: '12.50',
      currency: 'USD',
    });
  });

  test('the event of a creation carries the whole content of the order', () => {
    assert.deepEqual(JSON.parse(JSON.stringify(EVERY['order.created'].payload)), {
      version: 1,
      customerName: 'Asha',
      customerId: 'c1',
      restaurantId: 'r1',
      items: [{ itemId: 'sushi-set', quantity: 2, unitPrice: '9.50' }],
      deliveryAddress: ADDRESS,
      totalAmount: '12.50',
      currency: 'USD',
      scheduledAt: '2030-01-01T12:01:00.000Z',
      dueAt: '2030-01-01T12:01:00.000Z',
    });
  });

  test('the event of a later change carries the new version', () => {
    const before = movedTo(ORDER, 'PROCESSING', 'CONFIRMED');
    const event = announced({ type: 'advanced', at: LATER, to: 'ACCEPTED' }, before);
    assert.deepEqual(event.payload, { status: 'ACCEPTED', version: 4 });
  });
});

describe('an invalid record', () => {
  const record = travelled(EVERY['order.processing']);
  const BAD: Record<string, [unknown, RegExp]> = {
    'of an unknown type': [
      { ...record, eventType: 'order.exploded' },
      /unknown event type 'order\.exploded'/,
    ],
    'of a type that every object inherits': [{ ...record, eventType: 'toString' }, /unknown event type/],
    'without an id': [{ ...record, eventId: undefined }, /eventId/],
    'with an empty id': [{ ...record, eventId: '' }, /eventId/],
    'without an order': [{ ...record, orderId: undefined }, /orderId/],
    'with an invalid time': [{ ...record, occurredAt: 'yesterday' }, /occurredAt/],
    'with a time without a zone': [{ ...record, occurredAt: '2030-01-01T12:00:00' }, /occurredAt/],
    'with a time after the year 2999': [{ ...record, occurredAt: '9999-12-31T23:59:59Z' }, /occurredAt/],
    'without a payload': [{ ...record, payload: undefined }, /payload/],
    'with a payload of another type': [{ ...record, payload: { dueAt: 1 } }, /status[\s\S]*version/],
    'with an unknown status': [{ ...record, payload: { status: 'LOST', version: 1 } }, /status/],
    'that is text': ['{"not json', /expected object/],
    'that is null': [null, /expected object/],
    'that is a list': [[record], /expected object/],
  };
  for (const [kind, [bad, fault]] of Object.entries(BAD)) {
    test(`a record ${kind} is refused, and the fault is named`, () => {
      const parsed = parseEvent(bad);
      assert.match('fault' in parsed ? parsed.fault : 'it was accepted', fault);
    });
  }

  test('a time in lower case or with a leap second is valid, and is read as JavaScript reads it', () => {
    const parsed = parseEvent({ ...record, occurredAt: '2016-12-31t23:59:60z' });
    assert.equal('event' in parsed && parsed.event.occurredAt, '2016-12-31T23:59:59.999Z');
  });

  test('the fault names every invalid field', () => {
    const parsed = parseEvent({ ...record, eventId: 7, producer: undefined });
    assert.match('fault' in parsed ? parsed.fault : '', /eventId[\s\S]*producer/);
  });

  test('only the exact name of an event type is an event type', () => {
    assert.equal(isEventType('order.ready'), true);
    assert.equal(isEventType('order.Ready'), false);
    assert.equal(isEventType('__proto__'), false);
  });
});

describe('the flat fields', () => {
  test('a record on order.created has order_id, created_at and scheduled_at', () => {
    const { order_id, created_at, scheduled_at } = travelled(EVERY['order.created'], 'order.created');
    assert.deepEqual(
      { order_id, created_at, scheduled_at },
      { order_id: 'o-1', created_at: '2030-01-01T12:00:00.000Z', scheduled_at: '2030-01-01T12:01:00.000Z' },
    );
  });

  test('a record on order.created of an immediate order has no scheduled_at', () => {
    const order = placedOrder();
    const event = announced({ type: 'created', at: NOON, content: order, dueAt: NOON }, order);
    assert.equal('scheduled_at' in travelled(event, 'order.created'), false);
  });

  test('a record on order.ready has order_id and ready_at', () => {
    const { order_id, ready_at } = travelled(EVERY['order.ready']);
    assert.deepEqual({ order_id, ready_at }, { order_id: 'o-1', ready_at: '2030-01-01T12:01:00.000Z' });
  });

  test('a record on order.completed has order_id and completed_at', () => {
    const { order_id, completed_at } = travelled(EVERY['order.completed'], 'order.completed');
    assert.deepEqual(
      { order_id, completed_at },
      { order_id: 'o-1', completed_at: '2030-01-01T12:01:00.000Z' },
    );
  });

  test('a record on order_status_updates has order_id, timestamp, the reason, and the status in order-manager’s words', () => {
    for (const type of typesOn('order_status_updates')) {
      const event = EVERY[type];
      const { order_id, status, timestamp, details } = travelled(event, 'order_status_updates');
      const canonical = (event.payload as { status: OrderStatus }).status;
      assert.deepEqual([order_id, timestamp], ['o-1', '2030-01-01T12:01:00.000Z'], type);
      assert.equal(status, ORDER_MANAGER[canonical], type);
      const reason = 'reason' in event.payload ? event.payload.reason : undefined;
      assert.equal((details as { reason?: string }).reason, reason, type);
    }
  });

  test('a record on order_events has the status in food-ordering’s words, and aliases from transactional-outbox', () => {
    const names = (type: EventType) => travelled(EVERY[type], 'order_events').aliases;
    assert.deepEqual(names('order.created'), ['order.placed.v1']);
    assert.deepEqual(names('order.accepted'), ['order.status.preparing.v1']);
    assert.deepEqual(names('order.cancelled'), ['order.cancelled.v1', 'order.status.cancelled.v1']);
    assert.deepEqual(names('inventory.reserved'), ['inventory.deducted.success.v1']);
    assert.deepEqual(names('inventory.low_stock'), ['inventory.low_stock_alert.v1']);
    for (const type of typesOn('order_status_updates')) {
      const { status } = travelled(EVERY[type], 'order_events');
      assert.equal(status, FOOD_ORDERING[(EVERY[type].payload as { status: OrderStatus }).status], type);
    }
  });

  test('a record on db_write_order_status has user, items, prices and total', () => {
    const record = travelled(EVERY['order.confirmed'], 'db_write_order_status');
    assert.deepEqual(
      [record.user_id, record.items, record.total_price, record.status],
      ['c1', [{ item_id: 'sushi-set', quantity: 2, price: 9.5 }], 12.5, 'CONFIRMED'],
    );
  });

  test('no flat field replaces a field of the envelope, except eventType on rider_assigned', () => {
    for (const [type, topic] of TYPES.flatMap((type) =>
      TOPICS[type].map((topic) => [type, topic] as const),
    )) {
      if (topic === 'rider_assigned') continue;
      const record = travelled(EVERY[type], topic);
      for (const [field, value] of Object.entries(JSON.parse(JSON.stringify(EVERY[type]))))
        assert.deepEqual(record[field], value, `${field} of ${type}`);
    }
  });
});

test('the fault of a record without an envelope is a text for people, not JSON', () => {
  const parsed = parseEvent({ order_id: 'x', ready_at: '2030-01-01T12:00:00Z' });
  assert.match('fault' in parsed ? parsed.fault : '', /^[^[{]+expected string/);
});
