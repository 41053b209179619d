/** Riders and deliveries: who carries what, and how far it came. Times are epoch ms, places [latitude, longitude] in degrees. */
import { isFinal, type Order, type OrderId } from './order.ts';

export type Place = readonly [latitude: number, longitude: number];

export interface Rider {
  readonly id: string;
  readonly name: string;
  readonly isOnDuty: boolean;
  readonly place?: Place;
  /** Orders on the way with them, and how many may be. */
  readonly carrying: number;
  readonly capacity: number;
}

export interface Delivery {
  readonly orderId: OrderId;
  readonly state: 'REQUESTED' | 'ASSIGNED' | 'PICKED_UP' | 'DELIVERED' | 'RELEASED';
  readonly riderId?: string;
  /** One of the rider's places is taken by it. Who assigns riders of their own takes none of a rider we do not know. */
  readonly holdsPlace?: true;
  readonly restaurantId?: string;
  readonly pickupAddress?: string;
  readonly pickup?: Place;
  readonly dropoff?: Place;
  /** Times nobody was free. */
  readonly attempts: number;
  readonly requestedAt: number;
  /** When the kitchen is to be ready. */
  readonly readyAt?: number;
  readonly assignedAt?: number;
  readonly pickedUpAt?: number;
  readonly deliveredAt?: number;
  readonly eta?: { readonly median: number; readonly p90: number; readonly computedAt: number };
}

/** With a rider, and not yet at the door. */
export function isUnderWay({ state }: Delivery): boolean {
  return state === 'ASSIGNED' || state === 'PICKED_UP';
}

export function hasEnded({ state }: Delivery): boolean {
  return state === 'DELIVERED' || state === 'RELEASED';
}

export function assign(
  delivery: Delivery,
  { riderId, at, holdsPlace }: { riderId: string; at: number; holdsPlace: boolean },
): Delivery {
  return {
    ...delivery,
    state: 'ASSIGNED',
    riderId,
    assignedAt: at,
    ...(holdsPlace ? { holdsPlace: true as const } : {}),
  };
}

export function pickUp(delivery: Delivery, at: number): Delivery {
  return { ...delivery, state: 'PICKED_UP', pickedUpAt: at };
}

export function deliver(delivery: Delivery, at: number): Delivery {
  return { ...release(delivery), state: 'DELIVERED', deliveredAt: at };
}

/** Whoever releases a delivery that holds a place gives that place back. */
export function release({ holdsPlace: _, ...delivery }: Delivery): Delivery {
  return { ...delivery, state: 'RELEASED' };
}

/** The delivery after its order went on without its rider's word: by an operator's, or to another end; undefined where that changes nothing. */
export function followOrder(delivery: Delivery, order: Order): Delivery | undefined {
  if (hasEnded(delivery)) return undefined;
  switch (order.status) {
    case 'RIDER_ASSIGNED':
      return delivery.state === 'REQUESTED' ? release(delivery) : undefined;
    case 'OUT_FOR_DELIVERY':
      if (delivery.state === 'REQUESTED') return release(delivery);
      return delivery.state === 'ASSIGNED' ? pickUp(delivery, order.updatedAt) : undefined;
    case 'DELIVERED':
      return delivery.state === 'REQUESTED' ? release(delivery) : deliver(delivery, order.updatedAt);
    default:
      return isFinal(order.status) ? release(delivery) : undefined;
  }
}

/** The mean radius of the earth (IUGG), metres. */
const EARTH_RADIUS_M = 6_371_008.8;

/** Metres as the crow flies, by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky & Telescope 68, 1984, p. 159). */
export function distanceM([fromLatitude, fromLongitude]: Place, [toLatitude, toLongitude]: Place): number {
  const haversine =
    Math.sin(radians(toLatitude - fromLatitude) / 2) ** 2 +
    Math.cos(radians(fromLatitude)) *
      Math.cos(radians(toLatitude)) *
      Math.sin(radians(toLongitude - fromLongitude) / 2) ** 2;
  // Rounding may lift it above 1 for places on opposite sides of the earth.
  return 2 * EARTH_RADIUS_M * Math.asin(Math.sqrt(Math.min(1, haversine)));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
