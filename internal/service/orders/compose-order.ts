/** Composes the content of an order with items: checks its lines against the catalogue, and prices them. */
import { type Problem, TiffinError } from '../../domain/errors.ts';
import type { OrderContent, OrderId, OrderItem } from '../../domain/order.ts';
import { isTooExpensive, type PricingRules, priceOf } from '../../domain/pricing.ts';
import type { Catalogue, MenuItem, Restaurant } from '../inventory/ports.ts';

export interface ComposeDeps {
  readonly catalogue: Catalogue;
  readonly pricing: PricingRules;
  /** ISO 4217 code: the currency of the catalogue's prices, and of an order without a currency. */
  readonly currency: string;
}

export interface OrderDraft extends Omit<OrderContent, 'items' | 'total' | 'price'> {
  readonly id: OrderId;
  readonly currency?: string;
  readonly lines: readonly { itemId: string; quantity: number; unitPriceMinor?: number }[];
}

type Found = Awaited<ReturnType<Catalogue['look']>>;

/**
 * The content of the drafted order. The catalogue's price overrides the client's. Throws UNKNOWN_RESTAURANT,
 * RESTAURANT_CLOSED, or INVALID_INPUT with all problems: UNKNOWN_ITEM, ITEM_NOT_SOLD_HERE or PRICE_UNKNOWN for a line,
 * INVALID_CURRENCY for the order.
 */
export async function composeContent(deps: ComposeDeps, draft: OrderDraft): Promise<OrderContent> {
  const { lines, currency = deps.currency, ...rest } = draft;
  const found = await deps.catalogue.look({
    items: [...new Set(lines.map(({ itemId }) => itemId))],
    ...(draft.restaurantId ? { restaurants: [draft.restaurantId] } : {}),
  });
  const restaurant = restaurantOf(draft, found);
  const problems: Problem[] = [];
  const items = lines.flatMap((line, n) => {
    const item = composeLine(line, restaurant, found);
    if (!('code' in item)) return [item];
    problems.push({ ...item, pointer: `/items/${n}` });
    return [];
  });
  // The catalogue's prices are not converted, so an order with such items must be in their currency.
  if (currency !== deps.currency && lines.some(({ itemId }) => found.menuItems.has(itemId)))
    problems.push({
      code: 'INVALID_CURRENCY',
      detail: `the catalogue's prices are in ${deps.currency}`,
      pointer: '/currency',
    });
  if (problems.length > 0)
    throw new TiffinError('INVALID_INPUT', problems.map(({ detail }) => detail).join('; '), { problems });
  const { totalMinor, ...price } = priceOf(items, deps.pricing);
  if (isTooExpensive({ ...price, totalMinor }))
    throw new TiffinError('INVALID_INPUT', 'the order costs more than 9999999999.99');
  return { ...rest, items, total: { minor: totalMinor, currency }, price };
}

function restaurantOf({ restaurantId }: OrderDraft, { restaurants }: Found): Restaurant | undefined {
  if (restaurantId === undefined) return undefined;
  const restaurant = restaurants.get(restaurantId);
  if (!restaurant) throw new TiffinError('UNKNOWN_RESTAURANT', `there is no restaurant '${restaurantId}'`);
  if (!restaurant.isActive)
    throw new TiffinError('RESTAURANT_CLOSED', `${restaurant.name} takes no orders at the moment`);
  return restaurant;
}

/** The line as an item of the order, or its problem. */
function composeLine(
  { itemId, quantity, unitPriceMinor }: OrderDraft['lines'][number],
  restaurant: Restaurant | undefined,
  { menuItems, stocks }: Found,
): (OrderItem & { unitPriceMinor: number }) | Problem {
  const item = menuItems.get(itemId);
  if (!item && !stocks.has(itemId)) return { code: 'UNKNOWN_ITEM', detail: `there is no item '${itemId}'` };
  if (restaurant && !isSoldBy(item, restaurant))
    return { code: 'ITEM_NOT_SOLD_HERE', detail: `${restaurant.name} does not sell '${itemId}'` };
  const price = item?.priceMinor ?? unitPriceMinor;
  if (price === undefined) return { code: 'PRICE_UNKNOWN', detail: `the price of '${itemId}' is unknown` };
  return { itemId, ...(item ? { name: item.name } : {}), quantity, unitPriceMinor: price };
}

function isSoldBy(item: MenuItem | undefined, { id }: Restaurant): boolean {
  return item?.restaurantId === id && item.isActive;
}
