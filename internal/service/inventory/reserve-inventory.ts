/** Reserves the items of orders that are PROCESSING, and releases them when an order fails or is rejected or cancelled. */
import { fact } from '../../domain/announce.ts';
import type { Event, EventOf, EventType, Payload } from '../../domain/events.ts';
import { toDecimalText } from '../../domain/money.ts';
import type { Order, OrderId } from '../../domain/order.ts';
import { lockOrdersOf } from '../decide-orders.ts';
import type { Clock } from '../ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { Inventory, Lines } from './ports.ts';

const PRODUCER = 'inventory-service';

export interface ReserveDeps {
  readonly inventory: Inventory;
  readonly clock: Clock;
  readonly newEventId: () => string;
}

/**
 * Reserves stock under the locks of the orders. An order that was cancelled before gets none; a cancellation after it finds
 * the reservation and releases it.
 */
export function reserveConsumer(deps: ReserveDeps): Consumer<'order.processing', void> {
  return {
    name: 'inventory-service.reserve',
    topics: ['raw.order-events'],
    types: ['order.processing'],
    isIdempotent: true,
    async apply(tx, all) {
      const events = all.filter(({ payload }) => payload.next !== 'COMPLETED');
      if (events.length === 0) return [];
      const orders = await lockOrdersOf(tx, events);
      const reservable = events.filter(({ orderId }) => needsStock(orders.get(orderId as OrderId)));
      if (reservable.length === 0) return [];
      const { outcomes, low } = await deps.inventory.reserve(
        tx,
        reservable.map(({ orderId }) => {
          const id = orderId as OrderId;
          return { orderId: id, lines: (orders.get(id) as Order).items };
        }),
      );
      const announce = announcer(deps, reservable);
      return [
        ...outcomes.map((outcome) =>
          outcome.outcome === 'reserved'
            ? announce('inventory.reserved', outcome.orderId, {
                items: copyOf(outcome.lines),
                amountDue: toDecimalText((orders.get(outcome.orderId) as Order).total.minor),
              })
            : announce('inventory.rejected', outcome.orderId, {
                reason: 'OUT_OF_STOCK',
                items: [...outcome.missing],
              }),
        ),
        ...low.map(({ orderId, ...item }) => announce('inventory.low_stock', orderId, item)),
      ];
    },
  };
}

type Ended = 'order.failed' | 'order.rejected' | 'order.cancelled';

export function releaseConsumer(deps: ReserveDeps): Consumer<Ended, void> {
  return {
    name: 'inventory-service.release',
    topics: ['raw.order-events'],
    types: ['order.failed', 'order.rejected', 'order.cancelled'],
    isIdempotent: true,
    async apply(tx, events) {
      const announce = announcer(deps, events);
      const released = await deps.inventory.release(
        tx,
        events.map(({ orderId }) => orderId as OrderId),
      );
      return released.map(({ orderId, lines }) =>
        announce('inventory.released', orderId, { items: copyOf(lines) }),
      );
    },
  };
}

function needsStock(order: Order | undefined): boolean {
  return order?.status === 'PROCESSING' && order.items.length > 0;
}

function copyOf(lines: Lines): { itemId: string; quantity: number }[] {
  return lines.map(({ itemId, quantity }) => ({ itemId, quantity }));
}

/** Builds events that carry the trace of the event of the same order which caused them. */
function announcer({ clock, newEventId }: ReserveDeps, causes: readonly EventOf<EventType>[]) {
  const traces = new Map(causes.map(({ orderId, traceparent }) => [orderId, traceparent]));
  const at = clock.now();
  return <T extends EventType>(type: T, orderId: OrderId, payload: Payload<T>): Event =>
    fact(type, orderId, payload, {
      eventId: newEventId(),
      at,
      producer: PRODUCER,
      traceparent: traces.get(orderId),
    }) as Event;
}
