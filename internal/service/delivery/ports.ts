/** The ports of riders and deliveries. A method with a `tx` runs in that transaction. */
import type { Delivery, Place, Rider } from '../../domain/delivery.ts';
import type { OrderId } from '../../domain/order.ts';
import type { Transaction } from '../ports.ts';

export interface Riders {
  /** Unknown ids are absent from the result. */
  find(riderIds: readonly string[], tx?: Transaction): Promise<Rider[]>;
  /**
   * Riders on duty with free capacity: up to `limit` nearest to each pickup, and up to `limit` whose place is unknown, or
   * with any place if a pickup is unknown.
   */
  free(tx: Transaction, pickups: readonly (Place | undefined)[], limit: number): Promise<Rider[]>;
  /** Adds or changes a rider; `carrying` stays, and so does the place if none is given. `at` is epoch ms. Returns the stored rider. */
  put(rider: Omit<Rider, 'carrying' | 'placeAt'>, at: number): Promise<Rider>;
  /** Stores the rider's place as of `at` (epoch ms); ignored if older than the stored one. False if there is no such rider. */
  move(riderId: string, place: Place, at: number, tx?: Transaction): Promise<boolean>;
  /**
   * Raises `carrying` of each rider by up to the wanted number, as far as capacity and duty allow, or with `regardless` in
   * full; riders are locked in id order. Returns by how much each was raised; another matcher may have been faster.
   */
  take(
    tx: Transaction,
    wanted: ReadonlyMap<string, number>,
    options?: { regardless: boolean },
  ): Promise<Map<string, number>>;
  /** Lowers `carrying` by one for each time a rider is listed. */
  release(tx: Transaction, riderIds: readonly string[]): Promise<void>;
}

/** Tells all processes that a rider has moved. Nothing is kept: what is lost is made up for by the rider's next position. */
export interface RiderMoves {
  /** Neither waits nor throws. */
  tell(riderId: string): void;
  /** Calls the listener on each move, and when moves may have been missed; returns a function that ends it. */
  listen(riderId: string, listener: () => void): () => void;
}

export interface Deliveries {
  /** Unknown ids are absent from the result. */
  find(orderIds: readonly OrderId[]): Promise<Map<OrderId, Delivery>>;
  /** Reads and locks deliveries in id order; unknown ids are absent from the result. */
  lock(tx: Transaction, orderIds: readonly OrderId[]): Promise<Map<OrderId, Delivery>>;
  /** Stores new deliveries, and changes of locked ones. */
  save(tx: Transaction, deliveries: readonly Delivery[]): Promise<void>;
  /** The deliveries that the rider has and that have not ended, ordered by order id. */
  ofRider(riderId: string): Promise<Delivery[]>;
}
