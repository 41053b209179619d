/** Riders and deliveries: assignment, progress, and distances. Times are epoch ms, places [latitude, longitude] in degrees. */
import { fact, type Origin } from './announce.ts';
import { unreachable } from './errors.ts';
import type { Event } from './events.ts';
import { isFinal, type Order, type OrderId } from './order.ts';
import { toRfc3339 } from './schedule.ts';

export type Place = readonly [latitude: number, longitude: number];

export interface Rider {
  readonly id: string;
  readonly name: string;
  readonly isOnDuty: boolean;
  readonly place?: Place;
  /** When the rider was at `place`; absent if that is. */
  readonly placeAt?: number;
  /** How many orders the rider has. */
  readonly carrying: number;
  /** How many orders the rider may have. */
  readonly capacity: number;
}

export interface Delivery {
  readonly orderId: OrderId;
  readonly state: 'REQUESTED' | 'ASSIGNED' | 'PICKED_UP' | 'DELIVERED' | 'RELEASED';
  readonly riderId?: string;
  /** True if the delivery counts in its rider's `carrying`; a rider of an external system has no such count. */
  readonly holdsPlace?: true;
  readonly restaurantId?: string;
  readonly pickupAddress?: string;
  readonly pickup?: Place;
  readonly dropoff?: Place;
  /** Searches that found no free rider. */
  readonly attempts: number;
  readonly requestedAt: number;
  /** When the kitchen expects to be ready. */
  readonly readyAt?: number;
  readonly assignedAt?: number;
  readonly pickedUpAt?: number;
  readonly deliveredAt?: number;
  readonly eta?: Eta & {
    readonly computedAt: number;
    /** The last change that a customer would notice; absent for an ETA of an earlier version. */
    readonly change?: EtaChange;
  };
}

/** The window of arrival. */
export interface Eta {
  readonly median: number;
  /** The 90th percentile: nine of ten orders arrive by then. */
  readonly p90: number;
}

/** Why a window of arrival changed. KITCHEN: the food is not ready yet; TIME_PASSED: the rider reports no position. */
export const ETA_REASONS = [
  'RIDER_ASSIGNED',
  'PICKED_UP',
  'KITCHEN',
  'KITCHEN_LATE',
  'RIDER_POSITION',
  'TIME_PASSED',
] as const;
export type EtaReason = (typeof ETA_REASONS)[number];

export interface EtaChange {
  readonly why: EtaReason;
  readonly at: number;
  /** Absent for the first window. */
  readonly from?: Eta;
  readonly to: Eta;
}

/** True if the delivery has a rider and has not ended. */
export function isUnderWay({ state }: Pick<Delivery, 'state'>): boolean {
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

/** The caller lowers the rider's `carrying` if the delivery had `holdsPlace`. */
export function release({ holdsPlace: _, ...delivery }: Delivery): Delivery {
  return { ...delivery, state: 'RELEASED' };
}

/** The delivery after its order changed without a rider's report, for instance by an operator; undefined if it stays the same. */
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

/** The event for a delivery's new state; undefined if the state is unchanged. */
export function announceDelivery(
  before: Delivery | undefined,
  delivery: Delivery,
  origin: Origin & { eventId: string; at: number },
): Event | undefined {
  const { orderId, riderId = '', state, restaurantId, pickupAddress } = delivery;
  const time = (at = origin.at) => toRfc3339(at);
  if (state === before?.state) return undefined;
  switch (state) {
    case 'REQUESTED':
      return fact('delivery.requested', orderId, { requestedAt: time(delivery.requestedAt) }, origin);
    case 'ASSIGNED': {
      const place = { ...(restaurantId ? { restaurantId } : {}), address: pickupAddress ?? '' };
      const payload = {
        riderId,
        assignedAt: time(delivery.assignedAt),
        ...(pickupAddress === undefined ? {} : { pickupLocation: place }),
      };
      return fact('delivery.assigned', orderId, payload, origin);
    }
    case 'PICKED_UP':
      return fact('delivery.picked_up', orderId, { riderId, pickedUpAt: time(delivery.pickedUpAt) }, origin);
    case 'DELIVERED':
      return fact(
        'delivery.delivered',
        orderId,
        { riderId, deliveredAt: time(delivery.deliveredAt) },
        origin,
      );
    case 'RELEASED':
      return delivery.riderId === undefined
        ? fact('delivery.withdrawn', orderId, { searches: delivery.attempts }, origin)
        : fact('delivery.released', orderId, { riderId }, origin);
    default:
      return unreachable(state);
  }
}

/** The mean radius of the earth (IUGG), metres. */
const EARTH_RADIUS_M = 6_371_008.8;

/** Great-circle distance in metres, by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky & Telescope 68, 1984, p. 159). */
export function distanceM([fromLatitude, fromLongitude]: Place, [toLatitude, toLongitude]: Place): number {
  const haversine =
    Math.sin(radians(toLatitude - fromLatitude) / 2) ** 2 +
    Math.cos(radians(fromLatitude)) *
      Math.cos(radians(toLatitude)) *
      Math.sin(radians(toLongitude - fromLongitude) / 2) ** 2;
  // Rounding may give more than 1 for antipodes.
  return 2 * EARTH_RADIUS_M * Math.asin(Math.sqrt(Math.min(1, haversine)));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
