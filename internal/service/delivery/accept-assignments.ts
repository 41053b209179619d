/** Accepts the riders that another system has assigned and announced on `rider_assigned`. */
import { assign, type Delivery } from '../../domain/delivery.ts';
import type { EventOf } from '../../domain/events.ts';
import { ORDER_ID, type Order, type OrderId } from '../../domain/order.ts';
import type { Restaurant } from '../inventory/ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import { externalReader } from '../stream/external-records.ts';
import {
  type AssignDeps,
  type Assignment,
  pickupOf,
  restaurantsOf,
  takeUp,
  wantsRider,
} from './assign-rider.ts';
import { PRODUCER } from './refresh-eta.ts';

/** What the database holds of a pickup's address, characters. */
const LONGEST_ADDRESS = 512;

type Fields = Readonly<Record<string, unknown>>;

export interface AcceptDeps extends AssignDeps {
  readonly eventIdFor: (name: string) => string;
}

/** Whoever assigned the rider knows whether they have room, so ours are not asked again. What we announced ourselves is passed over. */
export function assignmentsConsumer(
  deps: AcceptDeps,
): Consumer<'delivery.assigned', ReadonlyMap<string, Restaurant>> {
  return {
    name: `${PRODUCER}.assignments`,
    topics: ['rider_assigned'],
    // None of our own.
    types: [],
    read: externalReader(deps, assignmentIn),
    perform: (events) => restaurantsOf(deps, events),
    async apply(tx, events, restaurants, afterCommit) {
      const orders = await tx.lockOrders([...new Set(events.map(({ orderId }) => orderId as OrderId))]);
      const known = await deps.deliveries.lock(tx, [...orders.keys()]);
      const accepted = new Map<OrderId, EventOf<'delivery.assigned'>>();
      for (const event of events) {
        const order = orders.get(event.orderId as OrderId);
        if (order && wantsRider(order) && !accepted.has(order.id)) accepted.set(order.id, event);
        else {
          const fields = { order: event.orderId, rider: event.payload.riderId, status: order?.status };
          deps.log.info(fields, 'an assignment from outside was passed over');
        }
      }
      const places = new Map<string, number>();
      for (const { payload } of accepted.values())
        places.set(payload.riderId, (places.get(payload.riderId) ?? 0) + 1);
      const taken = await deps.riders.take(tx, places, { regardless: true });
      const riders = new Map(
        (await deps.riders.find([...taken.keys()], tx)).map((rider) => [rider.id, rider]),
      );
      const now = deps.clock.now();
      const assignments = [...accepted].map(([id, event]): Assignment => {
        const { riderId, assignedAt } = event.payload;
        const order = orders.get(id) as Order;
        const asked: Delivery = known.get(id) ?? {
          orderId: id,
          state: 'REQUESTED',
          ...pickupOf(event, restaurants),
          attempts: 0,
          requestedAt: now,
        };
        return {
          // A clock of theirs that is wrong does not put it before the order, or into the future.
          delivery: assign(asked, {
            riderId,
            at: Math.min(Math.max(Date.parse(assignedAt), order.createdAt), now),
            holdsPlace: taken.has(riderId),
          }),
          rider: riders.get(riderId),
          traceparent: event.traceparent,
        };
      });
      return takeUp(deps, tx, orders, assignments, afterCommit);
    },
  };
}

/** Flat fields, or the same within an envelope. What could name no rider, or is too long to be kept, is left out, and so named as a fault. */
function assignmentIn(record: Fields): { eventType: 'delivery.assigned'; payload: Fields } {
  const fields = { ...(isObject(record.payload) ? record.payload : {}), ...record };
  const { riderId, assignedAt, pickupLocation } = fields;
  const { restaurantId, address } = isObject(pickupLocation) ? pickupLocation : {};
  return {
    eventType: 'delivery.assigned',
    payload: {
      riderId: isId(riderId) ? riderId : undefined,
      assignedAt: String(assignedAt),
      ...(isObject(pickupLocation)
        ? {
            pickupLocation: {
              ...(isId(restaurantId) ? { restaurantId } : {}),
              address: String(address).length <= LONGEST_ADDRESS ? address : undefined,
            },
          }
        : {}),
    },
  };
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ORDER_ID.test(value);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
