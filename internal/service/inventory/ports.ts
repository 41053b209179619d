/** The ports of catalogue and stock; ports.ts has the glossary. Methods with a `tx` take part in that transaction. */
import type { OrderId, OrderItem } from '../../domain/order.ts';
import type { Transaction } from '../ports.ts';

export interface Restaurant {
  readonly id: string;
  readonly name: string;
  readonly isActive: boolean;
  readonly acceptance: 'automatic' | 'manual';
  readonly address: string;
  readonly location?: Location;
  /** Seconds from acceptance to the counter, as a rule. */
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
  readonly priceMinor: number;
  readonly isActive: boolean;
}

export interface Stock {
  readonly itemId: string;
  readonly stockCount: number;
  readonly threshold: number;
  /** Epoch ms. */
  readonly updatedAt: number;
}

export interface Catalogue {
  /** Those of the restaurants, menu items and stocks that exist; asked for at the same moment, many become one query. Within a transaction it is to be named. */
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

export type Lines = readonly Pick<OrderItem, 'itemId' | 'quantity'>[];

export interface ReservationRequest {
  readonly orderId: OrderId;
  /** As they stand in the order: those of the same item count together. */
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
   * Takes from stock what each order asks for, all of it or nothing, first come first served in the order given; rows are
   * locked in item order. Outcomes have one line for each item. An order that has asked before, whatever became of it,
   * is left out of the answer.
   * `low` are the items that this took below their threshold, with the order that did.
   */
  reserve(
    tx: Transaction,
    requests: readonly ReservationRequest[],
  ): Promise<{
    outcomes: ReservationOutcome[];
    low: { orderId: OrderId; itemId: string; stockCount: number; threshold: number }[];
  }>;
  /** Gives back what these orders have reserved; those without a reservation are left out of the answer. */
  release(tx: Transaction, orderIds: readonly OrderId[]): Promise<{ orderId: OrderId; lines: Lines }[]>;
}
