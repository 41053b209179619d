/** The ports of riders and deliveries. Methods with a `tx` take part in that transaction. */
import type { Delivery, Place, Rider } from '../../domain/delivery.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Transaction } from '../ports.ts';

export interface Riders {
  find(riderIds: readonly string[], tx?: Transaction): Promise<Rider[]>;
  /** Riders on duty with room for one more: the `limit` nearest to each of the pickups, and so many of those that are nowhere in particular. */
  free(tx: Transaction, pickups: readonly (Place | undefined)[], limit: number): Promise<Rider[]>;
  /** Adds a rider, or changes one; how much they carry stays, and where they are unless it is said. Returns them as they are now. */
  put(rider: Omit<Rider, 'carrying'>, at: number): Promise<Rider>;
  /** False where there is no such rider. A report older than the last one is passed over. */
  move(riderId: string, place: Place, at: number, tx?: Transaction): Promise<boolean>;
  /**
   * Takes so many places of each rider, as far as they have room and are on duty, or regardless of that; riders are locked
   * in id order. Returns how many were taken of whom, which is less where somebody else has taken the last one meanwhile.
   */
  take(
    tx: Transaction,
    wanted: ReadonlyMap<string, number>,
    options?: { regardless: boolean },
  ): Promise<Map<string, number>>;
  /** Gives places back, one for each time a rider is named. */
  release(tx: Transaction, riderIds: readonly string[]): Promise<void>;
}

export interface Deliveries {
  find(orderIds: readonly OrderId[]): Promise<Map<OrderId, Delivery>>;
  /** Locks them in id order. */
  lock(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Delivery>>;
  /** New ones, and changes of those that are locked. */
  save(tx: Transaction, deliveries: readonly Delivery[]): Promise<void>;
  /** What a rider has to pick up or carries, by order id. */
  ofRider(riderId: string): Promise<Delivery[]>;
}
