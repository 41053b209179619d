/** The ports of riders, deliveries and history. Methods with a `tx` take part in that transaction. */
import type { Delivery, Rider } from '../domain/delivery.ts';
import type { Event } from '../domain/events.ts';
import type { OrderId } from '../domain/order.ts';
import type { Transaction } from './ports.ts';

export interface Riders {
  find(riderIds: readonly string[]): Promise<Rider[]>;
  /** Riders on duty with room for one more, nearest to a place first where one is given; at most `limit`. */
  free(near: readonly [latitude: number, longitude: number] | undefined, limit: number): Promise<Rider[]>;
  /** Adds or moves a rider, or changes whether they are on duty; how much they carry stays. */
  put(rider: Omit<Rider, 'carrying'>): Promise<void>;
  move(riderId: string, latitude: number, longitude: number, at: number): Promise<boolean>;
  /** Takes one place of the rider's; false where another matcher has taken the last one meanwhile, or they went off duty. */
  take(tx: Transaction, riderId: string): Promise<boolean>;
  /** Gives one place of each rider's back. */
  release(tx: Transaction, riderIds: readonly string[]): Promise<void>;
}

export interface Deliveries {
  find(orderIds: readonly OrderId[]): Promise<Map<OrderId, Delivery>>;
  lock(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Delivery>>;
  save(tx: Transaction, deliveries: readonly Delivery[]): Promise<void>;
  ofRider(riderId: string): Promise<Delivery[]>;
}

/** Every event of every order, long after the event log has let go of it. */
export interface History {
  append(tx: Transaction, events: readonly Event[]): Promise<void>;
  /** Oldest first. */
  of(
    orderId: OrderId,
    limit: number,
  ): Promise<Pick<Event, 'eventId' | 'eventType' | 'occurredAt' | 'producer' | 'payload'>[]>;
  /** Makes the partitions of the months ahead, and drops those that ended before this, epoch ms. */
  maintain(now: number, keepFrom: number): Promise<void>;
}
