/** Riders and deliveries: who carries what, and how far it came. Times are epoch ms, places [latitude, longitude] in degrees. */
import type { OrderId } from './order.ts';

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
