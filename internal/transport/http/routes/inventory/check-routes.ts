/** The order manager's routes that check stock and price without placing an order. */
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import { addUp } from '../../../../domain/inventory.ts';
import { toDecimal } from '../../../../domain/money.ts';
import { isTooExpensive, type PricingRules, priceOf } from '../../../../domain/pricing.ts';
import type { Catalogue } from '../../../../service/inventory/ports.ts';
import { type Route, route } from '../../route.ts';
import { checkBody, priceBody } from '../orders/item-schemas.ts';

const TAG = 'Catalogue and stock';
const ANYONE_KNOWN = { roles: ['customer', 'restaurant', 'rider', 'operator'] } as const;

/** Compares stock with the sum of an item's lines, as reserving does. */
export function checkRoutes({
  catalogue,
}: {
  readonly catalogue: Pick<Catalogue, 'look'>;
}): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/check_inventory',
      access: ANYONE_KNOWN,
      tag: TAG,
      summary: 'Checks whether all items of an order are in stock now',
      body: checkBody,
      answers: {
        200: {
          description: 'Availability in total and for each line',
          schema: z.object({
            all_available: z.boolean(),
            details: z.array(
              z.object({
                item_id: z.string(),
                requested: z.number(),
                available: z.boolean(),
                current_stock: z.number(),
              }),
            ),
          }),
        },
      },
      async handle(ctx, { body: { items } }) {
        const sums = new Map(
          addUp(items.map(({ item_id: itemId, quantity }) => ({ itemId, quantity }))).map((line) => [
            line.itemId,
            line.quantity,
          ]),
        );
        const { stocks } = await catalogue.look({ items: [...sums.keys()] });
        const details = items.map(({ item_id, quantity }) => {
          const current_stock = stocks.get(item_id)?.stockCount ?? 0;
          return {
            item_id,
            requested: quantity,
            available: (sums.get(item_id) ?? 0) <= current_stock,
            current_stock,
          };
        });
        ctx.body = { all_available: details.every(({ available }) => available), details };
      },
    }),
  ];
}

export function pricingRoutes(rules: PricingRules): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/calculate_price',
      access: ANYONE_KNOWN,
      tag: TAG,
      summary: 'Calculates the total of items at the given prices by the pricing rules of orders',
      body: priceBody,
      answers: {
        200: {
          description: 'The total and its parts',
          schema: z.object({
            order_id: z.string().optional(),
            base_total: z.number(),
            discount_applied: z.number(),
            fees_applied: z.number(),
            final_total: z.number(),
          }),
        },
      },
      handle(ctx, { body: { order_id, items } }) {
        const cost = priceOf(
          items.map(({ quantity, price: unitPriceMinor }) => ({ quantity, unitPriceMinor })),
          rules,
        );
        if (isTooExpensive(cost))
          throw new TiffinError('INVALID_INPUT', 'the items cost more than 9999999999.99');
        ctx.body = {
          order_id,
          base_total: toDecimal(cost.baseMinor),
          discount_applied: toDecimal(cost.discountMinor),
          fees_applied: toDecimal(cost.feesMinor),
          final_total: toDecimal(cost.totalMinor),
        };
      },
    }),
  ];
}
