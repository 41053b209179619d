/** The ports of catalogue and stock. A method with a `tx` runs in that transaction. */
import type { OrderId, OrderItem } from '../../domain/order.ts';
import type { Transaction } from '../ports.ts';

export interface Restaurant {
  readonly id: string;
  readonly name: string;
  readonly isActive: boolean;
  /** Whether Tiffin accepts orders for the restaurant at once, or waits for its answer. */
  readonly acceptance: 'automatic' | 'manual';
  readonly address: string;
  readonly location?: Location;
  /** The usual time from acceptance to pick-up, seconds. */
  readonly preparationS: number;
}

/** Degrees, WGS 84. */
export interface Location {
  readonly latitude: number;
  readonly longitude: number;
}

export interface MenuItem {
  readonly id: string;
  readonly restaurantId: string;
  readonly name: string;
  /** Minor units of the catalogue's currency. */
  readonly priceMinor: number;
  readonly isActive: boolean;
}

export interface Stock {
  readonly itemId: string;
  readonly stockCount: number;
  /** A stock at or below this is low; 0 for no warning. */
  readonly threshold: number;
  /** Epoch ms. */
  readonly updatedAt: number;
}

export interface Catalogue {
  /**
   * The restaurants, menu items and stocks with these ids; unknown ids are absent. Concurrent calls share a query, except
   * those with a `tx`, which a caller inside a transaction must pass.
   */
  look(
    ids: { restaurants?: readonly string[]; items?: readonly string[] },
    tx?: Transaction,
  ): Promise<{
    restaurants: ReadonlyMap<string, Restaurant>;
    menuItems: ReadonlyMap<string, MenuItem>;
    stocks: ReadonlyMap<string, Stock>;
  }>;
  addRestaurant(restaurant: Restaurant): Promise<void>;
  /** Adds the item with its stock. Throws UNKNOWN_RESTAURANT. */
  addItem(item: MenuItem, stock: { stockCount: number; threshold: number }): Promise<void>;
}

/** The catalogue as customers read it. */
export interface Menus {
  /** By id, the ones after `after`; '' is before all. */
  restaurants(page: { after: string; limit: number }): Promise<Restaurant[]>;
  /** The items that the restaurant sells, by name, with the units in stock. */
  menuOf(restaurantId: string, limit: number): Promise<(MenuItem & Pick<Stock, 'stockCount'>)[]>;
}

export type Lines = readonly Pick<OrderItem, 'itemId' | 'quantity'>[];

export interface ReservationRequest {
  readonly orderId: OrderId;
  /** The order's lines; lines of the same item are added up. */
  readonly lines: Lines;
}

export type ReservationOutcome =
  | { readonly orderId: OrderId; readonly outcome: 'reserved'; readonly lines: Lines }
  | {
      readonly orderId: OrderId;
      readonly outcome: 'rejected';
      readonly missing: readonly { itemId: string; requested: number; available: number }[];
    };

export interface Inventory {
  /**
   * Reserves all lines of each request or none, in the given order; stock rows are locked in item order. Outcomes have one
   * line for each item; an order that was reserved or rejected before has none. `low` lists the items whose stock fell to
   * its threshold or below, with the last order that took of them.
   */
  reserve(
    tx: Transaction,
    requests: readonly ReservationRequest[],
  ): Promise<{
    outcomes: ReservationOutcome[];
    low: { orderId: OrderId; itemId: string; stockCount: number; threshold: number }[];
  }>;
  /** Releases the reservations of these orders; orders without one are absent from the result. */
  release(tx: Transaction, orderIds: readonly OrderId[]): Promise<{ orderId: OrderId; lines: Lines }[]>;
}
