/** Accepts riders that an external system has assigned and published to `rider_assigned`. */
import { assign, type Delivery } from '../../domain/delivery.ts';
import type { EventOf } from '../../domain/events.ts';
import { ORDER_ID, type Order, type OrderId } from '../../domain/order.ts';
import type { Restaurant } from '../inventory/ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import { externalReader } from '../stream/external-records.ts';
import {
  type AssignDeps,
  type Assignment,
  needsRider,
  pickupOf,
  restaurantsOf,
  storeAssignments,
} from './assign-rider.ts';
import { PRODUCER } from './refresh-eta.ts';

/** The longest pickup address that the database stores, characters. */
const LONGEST_ADDRESS = 512;

type Fields = Readonly<Record<string, unknown>>;

export interface AcceptDeps extends AssignDeps {
  readonly eventIdFor: (name: string) => string;
}

/** Accepts an assignment even if it exceeds the rider's capacity. Tiffin's own assignments on the topic are skipped. */
export function assignmentsConsumer(
  deps: AcceptDeps,
): Consumer<'delivery.assigned', ReadonlyMap<string, Restaurant>> {
  return {
    name: `${PRODUCER}.assignments`,
    topics: ['rider_assigned'],
    // Tiffin's own events are not read here.
    types: [],
    read: externalReader(deps, assignmentIn),
    perform: (events) => restaurantsOf(deps, events),
    async apply(tx, events, restaurants, afterCommit) {
      const orders = await tx.lockOrders([...new Set(events.map(({ orderId }) => orderId as OrderId))]);
      const deliveries = await deps.deliveries.lock(tx, [...orders.keys()]);
      const accepted = new Map<OrderId, EventOf<'delivery.assigned'>>();
      for (const event of events) {
        const order = orders.get(event.orderId as OrderId);
        if (order && needsRider(order) && !accepted.has(order.id)) accepted.set(order.id, event);
        else {
          const fields = { order: event.orderId, rider: event.payload.riderId, status: order?.status };
          deps.log.info(fields, 'an external assignment was skipped');
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
        const delivery: Delivery = deliveries.get(id) ?? {
          orderId: id,
          state: 'REQUESTED',
          ...pickupOf(event, restaurants),
          attempts: 0,
          requestedAt: now,
        };
        return {
          // The time is clamped to [creation of the order, now], since the external clock may be wrong.
          delivery: assign(delivery, {
            riderId,
            at: Math.min(Math.max(Date.parse(assignedAt), order.createdAt), now),
            holdsPlace: taken.has(riderId),
          }),
          rider: riders.get(riderId),
          traceparent: event.traceparent,
        };
      });
      return storeAssignments(deps, tx, orders, assignments, afterCommit);
    },
  };
}

/** The event of a record with flat fields, or with the same fields in a payload. Invalid fields are left undefined, so that parsing reports them. */
function assignmentIn(record: Fields): { eventType: 'delivery.assigned'; payload: Fields } {
  const fields = { ...(isObject(record.payload) ? record.payload : {}), ...record };
  const { riderId, assignedAt, pickupLocation } = fields;
  const { restaurantId, address } = isObject(pickupLocation) ? pickupLocation : {};
  return {
    eventType: 'delivery.assigned',
    payload: {
      riderId: isId(riderId) ? riderId : undefined,
      assignedAt,
      ...(isObject(pickupLocation)
        ? {
            pickupLocation: {
              ...(isId(restaurantId) ? { restaurantId } : {}),
              address: typeof address === 'string' && address.length <= LONGEST_ADDRESS ? address : undefined,
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
