/** A rider and the orders that it has, as the rider's list and stream show them. */
import { z } from 'zod';
import type { Delivery, Place, Rider } from '../../../../domain/delivery.ts';
import { TiffinError } from '../../../../domain/errors.ts';
import { ORDER_ID, type Order } from '../../../../domain/order.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { Deliveries, Riders } from '../../../../service/delivery/ports.ts';
import type { Catalogue, Restaurant } from '../../../../service/inventory/ports.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import { expected } from '../orders/order-schemas.ts';

const degrees = (most: number) =>
  z
    .number(expected('a number of degrees'))
    .min(-most, `must be from -${most} to ${most}`)
    .max(most, `must be from -${most} to ${most}`);
export const location = z.object({ lat: degrees(90), lng: degrees(180) }, expected('a JSON object'));
const time = z.string().meta({ format: 'date-time' });

export const riderSchema = z
  .object({
    riderId: z.string(),
    name: z.string(),
    onDuty: z.boolean(),
    location: location.optional(),
    carrying: z.int(),
    capacity: z.int(),
  })
  .meta({ id: 'Rider' });

export const carriedSchema = z
  .object({
    orderId: z.string(),
    status: z.enum(['ASSIGNED', 'PICKED_UP']),
    pickup: z.object({
      restaurantId: z.string().optional(),
      name: z.string().optional(),
      address: z.string().optional(),
      location: location.optional(),
      readyAt: time.optional(),
    }),
    dropoff: z.object({
      address: z
        .object({ street: z.string(), city: z.string(), state: z.string(), zipCode: z.string() })
        .optional(),
      contact: z.object({ name: z.string().optional(), phone: z.string().optional() }).optional(),
      location: location.optional(),
    }),
    eta: time.optional(),
  })
  .meta({ id: 'CarriedOrder' });

export interface CarriedDeps {
  readonly riders: Pick<Riders, 'find'>;
  readonly deliveries: Pick<Deliveries, 'ofRider'>;
  readonly orders: Pick<OrderStore, 'find'>;
  readonly catalogue: Pick<Catalogue, 'look'>;
}

/** The rider, if it is registered here, and its orders; throws RIDER_NOT_FOUND. */
export async function readRider({ riders, deliveries, orders, catalogue }: CarriedDeps, id: string) {
  const [[rider], found] = await Promise.all([riders.find([id]), deliveries.ofRider(id)]);
  // A rider of an external system may carry orders without being registered here.
  if (found.length === 0 && !rider) throw riderNotFound(id);
  const assigned = await orders.find(found.map(({ orderId }) => orderId));
  const byId = new Map(assigned.map((order) => [order.id, order]));
  const ids = [...new Set(found.flatMap(({ restaurantId }) => restaurantId ?? []))];
  const { restaurants } = await catalogue.look({ restaurants: ids });
  return {
    rider: rider && toRider(rider),
    orders: found.map((delivery) =>
      toCarried(delivery, byId.get(delivery.orderId), restaurants.get(delivery.restaurantId ?? '')),
    ),
  };
}

/** Parses a rider id; throws RIDER_NOT_FOUND for a malformed one, too. */
export function riderIdOf(text: string): string {
  if (!ORDER_ID.test(text)) throw riderNotFound(text);
  return text;
}

export function riderNotFound(id: string): TiffinError {
  return new TiffinError('RIDER_NOT_FOUND', `there is no rider '${id}'`);
}

export function toPlace({ lat, lng }: z.infer<typeof location>): Place {
  return [lat, lng];
}

function toLocation([lat, lng]: Place): z.infer<typeof location> {
  return { lat, lng };
}

export function toRider({
  id,
  name,
  isOnDuty,
  place,
  carrying,
  capacity,
}: Rider): z.infer<typeof riderSchema> {
  const location = place && toLocation(place);
  return { riderId: id, name, onDuty: isOnDuty, location, carrying, capacity };
}

function toCarried(
  delivery: Delivery,
  order: Order | undefined,
  restaurant: Restaurant | undefined,
): z.infer<typeof carriedSchema> {
  const { restaurantId, pickupAddress, pickup, dropoff, readyAt, eta } = delivery;
  return {
    orderId: delivery.orderId,
    status: delivery.state as 'ASSIGNED' | 'PICKED_UP',
    pickup: {
      restaurantId,
      name: restaurant?.name,
      address: pickupAddress,
      location: pickup && toLocation(pickup),
      readyAt: readyAt === undefined ? undefined : toRfc3339(readyAt),
    },
    dropoff: {
      address: order?.deliveryAddress,
      contact: order?.contact,
      location: dropoff && toLocation(dropoff),
    },
    eta: eta && toRfc3339(eta.median),
  };
}
