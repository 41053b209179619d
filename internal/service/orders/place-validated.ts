/** Places the orders that another system has validated and published to `validated_orders`. */
import { fact } from '../../domain/announce.ts';
import { TiffinError } from '../../domain/errors.ts';
import type { EventOf } from '../../domain/events.ts';
import { parseDecimal } from '../../domain/money.ts';
import { ORDER_ID, type OrderContent, type OrderId } from '../../domain/order.ts';
import { isTooExpensive, type PricingRules, priceOf } from '../../domain/pricing.ts';
import type { Catalogue } from '../inventory/ports.ts';
import type { Log } from '../ports.ts';
import type { Consumer } from '../stream/consumer.ts';
import type { Delivery } from '../stream/ports.ts';
import { type PlaceDeps, placeOrders } from './place-order.ts';

const VALIDATED_ORDERS = 'validated_orders';
const MAX_LINES = 100;
const MAX_QUANTITY = 10_000;

export interface ValidatedDeps extends PlaceDeps {
  readonly catalogue: Catalogue;
  readonly pricing: PricingRules;
  readonly currency: string;
  readonly log: Log;
  readonly eventIdFor: (name: string) => string;
}

/** The records have no order id, so it is derived from the record's position; a redelivered record is thus placed once. */
export function validatedOrdersConsumer(deps: ValidatedDeps): Consumer<'order.validated', void> {
  return {
    name: 'order-service.validated-orders',
    topics: [VALIDATED_ORDERS],
    types: ['order.validated'],
    read: (delivery) => readValidatedOrder(delivery, deps.eventIdFor, deps.clock.now()),
    async perform(events) {
      const contents = await contentsOf(deps, events);
      const results = await placeOrders(
        deps,
        contents.map((content, index) => ({
          content,
          fingerprint: content.id,
          origin: { producer: 'order-service', traceparent: events[index]?.traceparent },
        })),
      );
      for (const result of results) if (result.outcome === 'refused') throw result.error;
      deps.log.info({ orders: contents.map(({ id }) => id) }, 'validated orders were received');
    },
  };
}

/** Parses a record; `fault` names every invalid field. Prices in the record are decimals. */
export function readValidatedOrder(
  { topic, position, record }: Pick<Delivery, 'topic' | 'position' | 'record'>,
  idFor: (name: string) => string,
  now: number,
): { event: EventOf<'order.validated'> } | { fault: string } {
  if (typeof record !== 'object' || record === null) return { fault: 'the record is not a JSON object' };
  const { user_id: userId, items } = record as { user_id?: unknown; items?: unknown };
  const faults: string[] = [];
  if (typeof userId !== 'string' || !userId.trim() || userId.length > 128 || !isStorable(userId))
    faults.push('user_id must be a string of 1 to 128 characters');
  if (!Array.isArray(items) || items.length === 0 || items.length > MAX_LINES)
    faults.push(`items must be a list of 1 to ${MAX_LINES}`);
  const lines = Array.isArray(items)
    ? items.slice(0, MAX_LINES).map((item, n) => readLine(item, n, faults))
    : [];
  if (faults.length > 0) return { fault: faults.join('; ') };
  const name = `${topic}/${position}`;
  const orderId = idFor(name);
  const payload = { userId: userId as string, items: lines };
  return {
    event: fact('order.validated', orderId, payload, {
      eventId: idFor(`${name}#event`),
      at: now,
      producer: 'validated_orders',
    }),
  };
}

function readLine(item: unknown, n: number, faults: string[]) {
  const { item_id: itemId, quantity, price } = (item ?? {}) as Record<string, unknown>;
  if (typeof itemId !== 'string' || !ORDER_ID.test(itemId))
    faults.push(`items[${n}].item_id must be an item id`);
  if (!Number.isInteger(quantity) || (quantity as number) < 1 || (quantity as number) > MAX_QUANTITY)
    faults.push(`items[${n}].quantity must be a whole number from 1 to ${MAX_QUANTITY}`);
  const parsed =
    typeof price === 'number' || typeof price === 'string' ? parseDecimal(price) : { fault: 'is required' };
  if ('fault' in parsed) faults.push(`items[${n}].price ${parsed.fault}`);
  return {
    itemId: itemId as string,
    quantity: quantity as number,
    price: 'minor' in parsed ? parsed.minor : 0,
  };
}

function isStorable(text: string): boolean {
  return !/[\p{Cc}\p{Cs}]/u.test(text);
}

/** The catalogue's price overrides the record's; an item that is not in the catalogue is left to inventory to reject. */
async function contentsOf(
  { catalogue, pricing, currency }: ValidatedDeps,
  events: readonly EventOf<'order.validated'>[],
): Promise<OrderContent[]> {
  const ids = new Set(events.flatMap(({ payload }) => payload.items.map(({ itemId }) => itemId)));
  const { menuItems } = await catalogue.look({ items: [...ids] });
  return events.map(({ orderId, payload }) => {
    const items = payload.items.map(({ itemId, quantity, price }) => {
      const menuItem = menuItems.get(itemId);
      return {
        itemId,
        ...(menuItem ? { name: menuItem.name } : {}),
        quantity,
        unitPriceMinor: menuItem?.priceMinor ?? price,
      };
    });
    const priced = priceOf(items, pricing);
    if (isTooExpensive(priced))
      throw new TiffinError('INVALID_INPUT', 'the total must be at most 9999999999.99');
    const { totalMinor, ...price } = priced;
    return {
      id: orderId as OrderId,
      customerId: payload.userId,
      items,
      total: { minor: totalMinor, currency },
      price,
    };
  });
}
