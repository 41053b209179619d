/** Opens, accepts and closes restaurants' tickets as their orders change. */
import { fact } from '../../domain/announce.ts';
import type { Event } from '../../domain/events.ts';
import { isDelivered, type Order, type OrderId } from '../../domain/order.ts';
import type { OrderCommand } from '../../domain/order-decisions.ts';
import { toRfc3339 } from '../../domain/schedule.ts';
import { type AddressedCommand, type DecideDeps, decideOrders, lockOrdersOf } from '../decide-orders.ts';
import type { Catalogue, Restaurant } from '../inventory/ports.ts';
import type { Transaction } from '../ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { Ticket, Tickets } from './ports.ts';

export const PRODUCER = 'restaurant-service';

export interface TicketDeps extends DecideDeps {
  readonly tickets: Tickets;
  readonly catalogue: Pick<Catalogue, 'look'>;
}

/**
 * Opens a ticket for each CONFIRMED order. A restaurant with automatic acceptance accepts it at once; an answer that came
 * before the confirmation takes effect now.
 */
export function openConsumer(deps: TicketDeps): Consumer<'order.confirmed', void> {
  return {
    name: 'restaurant-service.open',
    topics: ['raw.order-events'],
    types: ['order.confirmed'],
    async apply(tx, events) {
      const orders = await lockOrdersOf(tx, events);
      const stored = await deps.tickets.lock(tx, [...orders.keys()]);
      const waiting = [...orders.values()].filter(
        ({ id, status, restaurantId }) =>
          status === 'CONFIRMED' && restaurantId && stored.get(id)?.state !== 'OPEN',
      );
      if (waiting.length === 0) return [];
      const { restaurants } = await deps.catalogue.look(
        { restaurants: [...new Set(waiting.map(({ restaurantId }) => restaurantId as string))] },
        tx,
      );
      const now = deps.clock.now();
      const traces = new Map(events.map(({ orderId, traceparent }) => [orderId as string, traceparent]));
      const commands: AddressedCommand[] = [];
      const accepted: Event[] = [];
      const tickets = waiting.map((order): Ticket => {
        const ticket = stored.get(order.id) ?? newTicket(order, now);
        const restaurant = restaurants.get(ticket.restaurantId);
        const traceparent = traces.get(order.id);
        const apply = (...next: OrderCommand[]) =>
          commands.push(...next.map((command) => ({ id: order.id, command, traceparent })));
        if (ticket.state === 'REJECTED') {
          apply({ type: 'reject', reason: ticket.reason ?? 'REJECTED' });
          return ticket;
        }
        if (ticket.state === 'ACCEPTED') {
          apply(TO_ACCEPTED);
          return { ...ticket, estimatedReadyAt: readyTime(ticket.estimatedReadyAt, restaurant, now) };
        }
        if (restaurant?.acceptance !== 'automatic') return ticket;
        const answered = acceptedTicket(ticket, now, readyTime(undefined, restaurant, now));
        // Such a restaurant does not report that it began, so the order is PREPARING at once.
        apply(TO_ACCEPTED, { type: 'advance', to: 'PREPARING', by: 'fact' });
        accepted.push(acceptance(deps, answered, traceparent));
        return answered;
      });
      await deps.tickets.save(tx, tickets);
      const { events: announced } = await decideOrders(deps, tx, PRODUCER, orders, commands);
      return [...accepted, ...announced];
    },
  };
}

const TO_ACCEPTED: OrderCommand = { type: 'advance', to: 'ACCEPTED', by: 'fact' };

export function newTicket(order: Order, now: number): Ticket {
  return { orderId: order.id, restaurantId: order.restaurantId as string, state: 'OPEN', openedAt: now };
}

export function acceptedTicket(ticket: Ticket, now: number, estimatedReadyAt: number | undefined): Ticket {
  return {
    ...ticket,
    state: 'ACCEPTED',
    answeredAt: now,
    ...(estimatedReadyAt === undefined ? {} : { estimatedReadyAt }),
  };
}

/** The restaurant's estimate, or now plus its usual preparation time; an estimate in the past means now. Epoch ms. */
export function readyTime(
  estimate: number | undefined,
  restaurant: Restaurant | undefined,
  now: number,
): number {
  return estimate === undefined ? now + (restaurant?.preparationS ?? 0) * 1_000 : Math.max(estimate, now);
}

/** The restaurant.accepted event of an accepted ticket. */
export function acceptance(
  { newEventId, clock }: Pick<DecideDeps, 'newEventId' | 'clock'>,
  { orderId, restaurantId, answeredAt, estimatedReadyAt }: Ticket,
  traceparent: string | undefined,
): Event {
  const at = clock.now();
  const payload = {
    restaurantId,
    acceptedAt: toRfc3339(answeredAt ?? at),
    ...(estimatedReadyAt === undefined ? {} : { estimatedReadyTime: toRfc3339(estimatedReadyAt) }),
  };
  return fact('restaurant.accepted', orderId, payload, {
    eventId: newEventId(),
    at,
    producer: PRODUCER,
    traceparent,
  });
}

type Followed =
  | 'order.accepted'
  | 'order.out_for_delivery'
  | 'order.delivered'
  | 'order.completed'
  | 'order.failed'
  | 'order.rejected'
  | 'order.cancelled';

/**
 * Accepts the ticket of an order that was accepted in any way, and requests its rider. Closes the ticket when the order has
 * left the restaurant or has ended.
 */
export function followConsumer(deps: TicketDeps): Consumer<Followed, void> {
  return {
    name: 'restaurant-service.follow',
    topics: ['raw.order-events'],
    types: [
      'order.accepted',
      'order.out_for_delivery',
      'order.delivered',
      'order.completed',
      'order.failed',
      'order.rejected',
      'order.cancelled',
    ],
    async apply(tx, events) {
      const orders = await lockOrdersOf(tx, events);
      const tickets = await deps.tickets.lock(tx, [...orders.keys()]);
      const now = deps.clock.now();
      const changed = new Map<OrderId, Ticket>();
      const accepted: Event[] = [];
      const toDeliver: { order: Order; traceparent: string | undefined }[] = [];
      for (const { eventType, orderId, traceparent } of events) {
        const order = orders.get(orderId as OrderId);
        if (!order?.restaurantId) continue;
        const ticket = changed.get(order.id) ?? tickets.get(order.id) ?? newTicket(order, now);
        if (eventType === 'order.accepted') {
          if (isDelivered(order)) toDeliver.push({ order, traceparent });
          if (ticket.state !== 'OPEN') continue;
          const answered = acceptedTicket(ticket, now, now);
          changed.set(order.id, answered);
          accepted.push(acceptance(deps, answered, traceparent));
        } else if (ticket.state === 'OPEN' || ticket.state === 'ACCEPTED') {
          changed.set(order.id, { ...ticket, state: 'CLOSED', closedAt: now });
        }
      }
      await deps.tickets.save(tx, [...changed.values()]);
      const current = new Map([...tickets, ...changed]);
      return [...accepted, ...(await riderRequests(deps, tx, toDeliver, current))];
    },
  };
}

async function riderRequests(
  { catalogue, clock, newEventId }: TicketDeps,
  tx: Transaction,
  toDeliver: readonly { order: Order; traceparent: string | undefined }[],
  tickets: ReadonlyMap<OrderId, Ticket>,
): Promise<Event[]> {
  if (toDeliver.length === 0) return [];
  const ids = [...new Set(toDeliver.map(({ order }) => order.restaurantId as string))];
  const { restaurants } = await catalogue.look({ restaurants: ids }, tx);
  return toDeliver.map(({ order, traceparent }) => {
    const restaurantId = order.restaurantId as string;
    const readyAt = tickets.get(order.id)?.estimatedReadyAt;
    const payload = {
      pickupLocation: { restaurantId, address: restaurants.get(restaurantId)?.address ?? '' },
      ...(order.deliveryAddress ? { deliveryAddress: order.deliveryAddress } : {}),
      ...(readyAt === undefined ? {} : { readyAt: toRfc3339(readyAt) }),
    };
    const origin = { eventId: newEventId(), at: clock.now(), producer: PRODUCER, traceparent };
    return fact('rider.requested', order.id, payload, origin);
  });
}
