/** Says what an order would cost, what of it is out of stock and when it would arrive, and stores nothing. */
import type { Delivery } from '../../domain/delivery.ts';
import { type EtaRules, etaOf } from '../../domain/eta.ts';
import { addUp } from '../../domain/inventory.ts';
import type { OrderContent, OrderId } from '../../domain/order.ts';
import { dueTime } from '../../domain/schedule.ts';
import type { Restaurant } from '../inventory/ports.ts';
import type { Clock } from '../ports.ts';
import { type ComposeDeps, composeContent, type OrderDraft } from './compose-order.ts';

export interface QuoteDeps extends ComposeDeps {
  readonly clock: Clock;
  readonly rules: EtaRules;
}

export interface Quote {
  readonly content: OrderContent;
  /** The lines of the items that are asked for more often than they are in stock now, from 0. */
  readonly short: readonly { readonly line: number; readonly itemId: string; readonly left: number }[];
  readonly dueAt: number;
  /** If the kitchen takes its usual time and a rider comes from the usual distance. Epoch ms. */
  readonly arrival: { readonly median: number; readonly p90: number };
}

const NOT_PLACED = 'quote' as OrderId;

/** Throws what placing such an order would throw: see composeContent. */
export async function quoteOrder(
  deps: QuoteDeps,
  draft: Omit<OrderDraft, 'id'> & { readonly restaurantId: string },
  scheduledAt?: number,
): Promise<Quote> {
  const content = await composeContent(deps, { ...draft, id: NOT_PLACED });
  const { restaurants, stocks } = await deps.catalogue.look({
    items: [...new Set(draft.lines.map(({ itemId }) => itemId))],
    restaurants: [draft.restaurantId],
  });
  const leftOf = (itemId: string) => stocks.get(itemId)?.stockCount ?? 0;
  const sums = new Map(addUp(draft.lines).map(({ itemId, quantity }) => [itemId, quantity]));
  const short = draft.lines.flatMap(({ itemId }, line) =>
    (sums.get(itemId) ?? 0) > leftOf(itemId) ? [{ line, itemId, left: leftOf(itemId) }] : [],
  );
  const dueAt = dueTime(scheduledAt, deps.clock.now());
  return { content, short, dueAt, arrival: arrivalOf(deps, restaurants.get(draft.restaurantId), dueAt) };
}

/** The ETA as it would be if a rider was found and the restaurant accepted as soon as the order is due. */
function arrivalOf({ rules }: QuoteDeps, restaurant: Restaurant | undefined, dueAt: number) {
  const delivery: Delivery = {
    ...{ orderId: NOT_PLACED, state: 'ASSIGNED', attempts: 0, requestedAt: dueAt, assignedAt: dueAt },
    readyAt: dueAt + (restaurant?.preparationS ?? 0) * 1_000,
  };
  return etaOf(delivery, undefined, dueAt, rules);
}
