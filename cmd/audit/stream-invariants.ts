/** Invariants of what follows from events: views, messages, and the effect of every consumed event. */
import { isDeepStrictEqual } from 'node:util';
import { by, group, type History, type State } from './history.ts';
import { statusesOf } from './order-invariants.ts';
import { DROPPED_OUT, each, hasEnded, type Invariant } from './verdict.ts';

/** A view that is built anew equals the live one; a live view may be missing, since views may be evicted. */
export const viewsRebuildEqual: Invariant = ({ states }) => {
  const rebuilt = by(
    states.view.filter(({ source }) => source === 'rebuilt'),
    'orderId',
  );
  return each(
    states.view.filter(({ source }) => source === 'live'),
    ({ orderId, value }) =>
      isDeepStrictEqual(value, rebuilt.get(orderId)?.value)
        ? []
        : [`the live view of order ${orderId} differs from the one that is built anew`],
  );
};

/** A customer gets each kind of message about an order once. */
export const oneMessageEach: Invariant = ({ states }) =>
  each(
    group(states.message, ({ orderId, template }) => `${template} of order ${orderId}`),
    ([name, copies]) => (copies.length > 1 ? [`message ${name} was delivered ${copies.length} times`] : []),
  );

/** Every event of a consumer is marked as processed, has had its effect, or is a dead letter. */
export const eventsAccountedFor: Invariant = (history) => {
  const { consumer: consumers, event, processed, 'dead-letter': letters } = history.states;
  const handled = new Set(
    [...processed, ...letters].map(({ consumer, eventId }) => `${consumer} ${eventId}`),
  );
  const hasEffect = effects(history);
  const events = group([...by(event, 'eventId').values()], ({ eventType }) => eventType);
  const pairs = consumers.flatMap((consumer) =>
    consumer.types.flatMap((type) => (events.get(type) ?? []).map((one) => ({ consumer, event: one }))),
  );
  return each(pairs, ({ consumer: { consumer, marks }, event: { eventId, eventType, orderId } }) => {
    if (handled.has(`${consumer} ${eventId}`)) return [];
    const isDone = marks ? false : hasEffect(eventType, orderId);
    if (isDone === undefined) return undefined;
    return isDone ? [] : [`${eventType} ${eventId} of order ${orderId} had no effect in ${consumer}`];
  });
};

const HELD = ['PENDING', 'AUTHORIZED', 'CAPTURED'];

/** What must be so at the end, given an event whose consumer decides by its own rows and marks nothing. */
function effects({ states, run }: History) {
  const orders = by(states.order, 'orderId');
  const payments = by(states.payment, 'orderId');
  const reservations = by(states.reservation, 'orderId');
  return (eventType: string, orderId: string): boolean | undefined => {
    const order = orders.get(orderId);
    if (!order) return undefined;
    const payment = payments.get(orderId);
    const isOver = hasEnded(order.status);
    const isPast = (status: string) => isOver || hasReached(order, status);
    switch (eventType) {
      case 'order.created':
      case 'order.rescheduled':
      case 'order.ready':
        return order.status !== 'CREATED' || (order.dueAt ?? 0) >= run.endedAt;
      case 'order.processing':
        return isOver || !order.hasItems || reservations.has(orderId);
      case 'inventory.reserved':
        return isOver || order.totalMinor === 0 || payment !== undefined;
      case 'inventory.rejected':
      case 'payment.failed':
        return isOver;
      case 'payment.authorized':
        return isPast('CONFIRMED');
      case 'restaurant.accepted':
        return isPast('ACCEPTED');
      case 'delivery.assigned':
        return isPast('RIDER_ASSIGNED');
      case 'delivery.picked_up':
        return isPast('OUT_FOR_DELIVERY');
      case 'order.failed':
      case 'order.rejected':
      case 'order.cancelled':
        return (
          !DROPPED_OUT.has(order.status) ||
          (reservations.get(orderId)?.state !== 'reserved' && !HELD.includes(payment?.state ?? ''))
        );
      case 'order.delivered':
      case 'order.completed':
        return payment?.state !== 'AUTHORIZED';
      default:
        return undefined;
    }
  };
}

function hasReached(order: State<'order'>, status: string): boolean {
  return order.status === status || statusesOf(order).some((step) => step.status === status);
}
