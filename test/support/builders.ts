/** Orders and events for tests: valid by default, with the changes that a test passes. */
import { announce } from '../../internal/domain/announce.ts';
import type { Deadlines } from '../../internal/domain/deadlines.ts';
import type { Event, EventOf } from '../../internal/domain/events.ts';
import type { Milestone, Order, OrderContent, OrderId, OrderStatus } from '../../internal/domain/order.ts';
import { evolve, type OrderEvent, place } from '../../internal/domain/order-decisions.ts';
import { scheduleName, type TimerKind, toRfc3339 } from '../../internal/domain/schedule.ts';
import { NOON } from './manual-clock.ts';

let count = 0;
export function nextId(prefix: string): string {
  count += 1;
  return `${prefix}-${count}`;
}

/** The default deadlines, milliseconds. */
export const DEADLINES: Deadlines = {
  processing: 900_000,
  acceptance: 600_000,
  rider: 1_200_000,
  pickUp: 3_600_000,
  delivery: 10_800_000,
  collection: 86_400_000,
};

export const ADDRESS = { street: '1 Churchgate', city: 'Mumbai', state: 'MH', zipCode: '400020' };
const ITEMS = [{ itemId: 'sushi-set', quantity: 2, unitPriceMinor: 950 }];

/** The content of an order, by the kind of fulfilment that it needs. */
export const CONTENTS = {
  plain: { items: [] },
  items: { items: ITEMS },
  restaurant: { items: ITEMS, restaurantId: 'r1' },
  delivery: { items: ITEMS, deliveryAddress: ADDRESS },
  toCustomer: { items: ITEMS, toCustomer: true },
  everything: { items: ITEMS, restaurantId: 'r1', deliveryAddress: ADDRESS },
} as const satisfies Record<string, Partial<OrderContent>>;

export function content(changes: Partial<Omit<OrderContent, 'id'>> & { id?: string } = {}): OrderContent {
  return {
    customerName: 'Asha',
    items: [],
    total: { minor: 1250, currency: 'USD' },
    ...changes,
    id: (changes.id ?? nextId('order')) as OrderId,
  };
}

export type Kind = keyof typeof CONTENTS;
export type Step = Exclude<Milestone, 'CREATED'>;
/** The due time of the orders of `orderAt`, and the time of the commands. */
export const LATER = NOON + 60_000;

export interface Placed {
  readonly content?: Parameters<typeof content>[0];
  readonly scheduledAt?: number;
  readonly at?: number;
}

/** A new order; by default it is placed at noon and due immediately. */
export function placedOrder({ content: changes, scheduledAt, at = NOON }: Placed = {}): Order {
  return evolve(undefined, place(content(changes), scheduledAt, at));
}

/** The order after these events. */
export function after(order: Order, ...events: OrderEvent[]): Order {
  return events.reduce<Order>(evolve, order);
}

/** The order, advanced through these milestones. */
export function movedTo(order: Order, ...milestones: Exclude<Milestone, 'CREATED'>[]): Order {
  return after(order, ...milestones.map((to) => ({ type: 'advanced', at: order.updatedAt, to }) as const));
}

/** The order, advanced to this milestone at this time. */
export function movedAt(order: Order, at: number, to: Exclude<Milestone, 'CREATED'>): Order {
  return after(order, { type: 'advanced', at, to });
}

/** The event of an order's last change of status. */
export function changedEvent(order: Order): Event {
  const at = order.updatedAt;
  const change = {
    at,
    ...('reason' in order ? { reason: order.reason } : {}),
    ...(order.status === 'FAILED' || order.status === 'REJECTED' || order.status === 'CANCELLED'
      ? { type: order.status.toLowerCase() }
      : { type: 'advanced', to: order.status }),
  } as OrderEvent;
  return announce(change, order, nextId('event'), { producer: 'test' });
}

export function createdEvent(order: Order, eventId = nextId('event')): EventOf<'order.created'> {
  const created: OrderEvent = {
    type: 'created',
    at: order.createdAt,
    content: order,
    dueAt: order.dueAt,
    ...(order.scheduledAt === undefined ? {} : { scheduledAt: order.scheduledAt }),
  };
  return announce(created, order, eventId, { producer: 'test' }) as EventOf<'order.created'>;
}

export function rescheduledEvent(order: Order, dueAt: number): EventOf<'order.rescheduled'> {
  const moved: OrderEvent = { type: 'rescheduled', at: order.updatedAt, scheduledAt: dueAt, dueAt };
  return announce(moved, evolve(order, moved), nextId('event'), {
    producer: 'test',
  }) as EventOf<'order.rescheduled'>;
}

export function cancelledEvent(order: Order): EventOf<'order.cancelled'> {
  const cancelled: OrderEvent = { type: 'cancelled', at: order.updatedAt };
  return announce(cancelled, evolve(order, cancelled), nextId('event'), {
    producer: 'test',
  }) as EventOf<'order.cancelled'>;
}

export function processingEvent(orderId: string, eventId = nextId('event')): EventOf<'order.processing'> {
  return envelope('order.processing', orderId, eventId, { status: 'PROCESSING', version: 2 });
}

/** The event that the scheduler publishes; its default id names the order and its due time. */
export function readyEvent(
  orderId: string,
  dueAt: number,
  eventId = scheduleName(orderId, dueAt),
): EventOf<'order.ready'> {
  return envelope('order.ready', orderId, eventId, { dueAt: toRfc3339(dueAt), readyAt: toRfc3339(dueAt) });
}

export function timerEvent(
  kind: TimerKind,
  orderId: string,
  dueAt: number,
  eventId = nextId('event'),
): Event {
  return envelope(`timer.${kind}`, orderId, eventId, { dueAt: toRfc3339(dueAt) });
}

function envelope<T extends Event['eventType']>(
  eventType: T,
  orderId: string,
  eventId: string,
  payload: EventOf<T>['payload'],
): EventOf<T> {
  return {
    eventId,
    eventType,
    schemaVersion: 1,
    occurredAt: toRfc3339(NOON),
    producedAt: toRfc3339(NOON),
    orderId,
    correlationId: orderId,
    producer: 'test',
    payload,
  };
}

/** The states that an order of each kind goes through. */
export const JOURNEYS: Record<Kind, readonly Milestone[]> = {
  plain: ['CREATED', 'PROCESSING', 'COMPLETED'],
  items: ['CREATED', 'PROCESSING', 'CONFIRMED', 'COMPLETED'],
  restaurant: [
    'CREATED',
    'PROCESSING',
    'CONFIRMED',
    'ACCEPTED',
    'PREPARING',
    'OUT_FOR_DELIVERY',
    'DELIVERED',
  ],
  delivery: ['CREATED', 'PROCESSING', 'CONFIRMED', 'RIDER_ASSIGNED', 'OUT_FOR_DELIVERY', 'DELIVERED'],
  toCustomer: ['CREATED', 'PROCESSING', 'CONFIRMED', 'RIDER_ASSIGNED', 'OUT_FOR_DELIVERY', 'DELIVERED'],
  everything: [
    'CREATED',
    'PROCESSING',
    'CONFIRMED',
    'ACCEPTED',
    'PREPARING',
    'RIDER_ASSIGNED',
    'OUT_FOR_DELIVERY',
    'DELIVERED',
  ],
};
export const STEPS = JOURNEYS.everything.slice(1) as Step[];

/** An order of this kind in this status. */
export function orderAt(status: OrderStatus, kind: Kind = 'everything'): Order {
  const order = placedOrder({ content: CONTENTS[kind], scheduledAt: LATER });
  switch (status) {
    case 'FAILED':
      return after(order, { type: 'failed', at: NOON, reason: 'NO_STOCK' });
    case 'CANCELLED':
      return after(order, { type: 'cancelled', at: NOON, reason: 'changed my mind' });
    case 'REJECTED':
      return after(orderAt('CONFIRMED', kind), { type: 'rejected', at: NOON, reason: 'CLOSED' });
    case 'COMPLETED':
      // An order whose kind does not end in COMPLETED is collected at the restaurant.
      if (!JOURNEYS[kind].includes(status)) return movedTo(orderAt('PREPARING', kind), 'COMPLETED');
      return movedTo(order, ...(JOURNEYS[kind].slice(1) as Step[]));
    default:
      return movedTo(order, ...(JOURNEYS[kind].slice(1, JOURNEYS[kind].indexOf(status) + 1) as Step[]));
  }
}
