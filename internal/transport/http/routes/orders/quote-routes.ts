/** The route that says what an order of the food-ordering dialect would cost, before it is placed. */
import { z } from 'zod';
import { toDecimal } from '../../../../domain/money.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import { type Quote, type QuoteDeps, quoteOrder } from '../../../../service/orders/quote-order.ts';
import { type Route, route } from '../../route.ts';
import { quoteBody } from './item-schemas.ts';

const time = z.string().meta({ format: 'date-time' });

const quote = z
  .object({
    restaurantId: z.string(),
    items: z.array(
      z.object({ itemId: z.string(), name: z.string().optional(), quantity: z.int(), unitPrice: z.number() }),
    ),
    base: z.number(),
    discount: z.number(),
    fees: z.number(),
    totalAmount: z
      .number()
      .meta({ description: 'What such an order is charged, while the prices are the same' }),
    currency: z.string(),
    problems: z
      .array(
        z.object({ code: z.literal('OUT_OF_STOCK'), detail: z.string(), pointer: z.string(), left: z.int() }),
      )
      .meta({ description: 'What there is too little of now; stock is taken when the order is due' }),
    dueAt: time.meta({ description: 'When the work on the order would begin' }),
    arrival: z.object({ from: time, to: time }).meta({
      description: 'The earliest window: the restaurant and a rider are free when the order is due',
    }),
  })
  .meta({ id: 'Quote' });

export function quoteRoutes(deps: QuoteDeps): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/quotes',
      access: 'anyone',
      tag: 'Food ordering',
      summary: 'What an order at a restaurant would cost, and when it would arrive; nothing is stored',
      body: quoteBody(() => deps.clock.now()),
      answers: {
        200: { description: 'The amount as it would be charged', schema: quote },
        404: { description: 'There is no such restaurant' },
        409: { description: 'The restaurant is closed' },
      },
      async handle(ctx, { body: { restaurantId, items: lines, currency, scheduledAt } }) {
        const draft = { restaurantId, lines, ...(currency ? { currency } : {}) };
        ctx.body = toQuote(restaurantId, await quoteOrder(deps, draft, scheduledAt));
        ctx.set('Cache-Control', 'no-store');
      },
    }),
  ];
}

function toQuote(restaurantId: string, { content, short, dueAt, arrival }: Quote): z.infer<typeof quote> {
  const { baseMinor = 0, discountMinor = 0, feesMinor = 0 } = content.price ?? {};
  return {
    restaurantId,
    items: content.items.map(({ itemId, name, quantity, unitPriceMinor = 0 }) => ({
      itemId,
      ...(name ? { name } : {}),
      quantity,
      unitPrice: toDecimal(unitPriceMinor),
    })),
    base: toDecimal(baseMinor),
    discount: toDecimal(discountMinor),
    fees: toDecimal(feesMinor),
    totalAmount: toDecimal(content.total.minor),
    currency: content.total.currency,
    problems: short.map(({ line, itemId, left }) => ({
      code: 'OUT_OF_STOCK',
      detail: left === 0 ? `'${itemId}' is out of stock` : `only ${left} of '${itemId}' are left`,
      pointer: `/items/${line}`,
      left,
    })),
    dueAt: toRfc3339(dueAt),
    arrival: { from: toRfc3339(arrival.median), to: toRfc3339(arrival.p90) },
  };
}
