/** The routes that show restaurants and their menus to anyone. */
import { createHash } from 'node:crypto';
import type { Context } from 'koa';
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import { toDecimal } from '../../../../domain/money.ts';
import { ORDER_ID } from '../../../../domain/order.ts';
import type { Catalogue, Menus, Restaurant } from '../../../../service/inventory/ports.ts';
import { UNCHANGED } from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { limit } from '../orders/order-schemas.ts';

const TAG = 'Menus';
const MOST_ITEMS = 1_000;
/** More is nobody's business, and would make a menu another one with each order. */
const MOST_LEFT = 20;
const MAX_AGE_S = 10;

const restaurantSchema = z
  .object({
    restaurantId: z.string(),
    name: z.string(),
    isOpen: z.boolean(),
    address: z.string().optional(),
    location: z.object({ lat: z.number(), lng: z.number() }).optional(),
    preparationS: z.int().meta({ description: 'The usual time from acceptance to pick-up' }),
  })
  .meta({ id: 'OpenRestaurant' });

const menuItem = z
  .object({
    itemId: z.string(),
    name: z.string(),
    price: z.number(),
    left: z
      .int()
      .min(0)
      .max(MOST_LEFT)
      .meta({ description: `How many are in stock; ${MOST_LEFT} for more` }),
  })
  .meta({ id: 'DishOnMenu' });

const menu = z
  .object({ restaurant: restaurantSchema, currency: z.string(), items: z.array(menuItem) })
  .meta({ id: 'Menu' });

const cursor = z
  .string()
  .regex(ORDER_ID, 'must be the nextCursor of an earlier page')
  .meta({ description: 'The nextCursor of the page before' });

export interface MenuDeps {
  readonly menus: Menus;
  readonly catalogue: Pick<Catalogue, 'look'>;
  readonly currency: string;
}

export function menuRoutes({ menus, catalogue, currency }: MenuDeps): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/restaurants',
      access: 'anyone',
      tag: TAG,
      summary: 'Lists the restaurants, by their ids',
      query: z.object({ cursor: cursor.optional(), limit }),
      headers: ['If-None-Match'],
      answers: {
        200: {
          description: 'A page, and the cursor of the next one',
          schema: z.object({ restaurants: z.array(restaurantSchema), nextCursor: z.string().nullable() }),
          headers: ['ETag'],
        },
        304: UNCHANGED,
      },
      async handle(ctx, { query: { cursor, limit } }) {
        const found = await menus.restaurants({ after: cursor ?? '', limit: limit + 1 });
        const page = found.slice(0, limit);
        const nextCursor = found.length > limit ? (page.at(-1)?.id ?? null) : null;
        sendCacheable(ctx, { restaurants: page.map(toRestaurant), nextCursor });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/restaurants/:rid/menu',
      access: 'anyone',
      tag: TAG,
      summary: `The dishes that a restaurant sells, by their names; ${MOST_ITEMS} at most`,
      headers: ['If-None-Match'],
      answers: {
        200: { description: 'The menu', schema: menu, headers: ['ETag'] },
        304: UNCHANGED,
        404: { description: 'There is no such restaurant' },
      },
      async handle(ctx, { params: { rid } }) {
        const restaurant = ORDER_ID.test(rid)
          ? (await catalogue.look({ restaurants: [rid] })).restaurants.get(rid)
          : undefined;
        if (!restaurant) throw new TiffinError('UNKNOWN_RESTAURANT', `there is no restaurant '${rid}'`);
        const items = (await menus.menuOf(rid, MOST_ITEMS)).map(
          ({ id: itemId, name, priceMinor, stockCount }) => ({
            itemId,
            name,
            price: toDecimal(priceMinor),
            left: Math.min(stockCount, MOST_LEFT),
          }),
        );
        sendCacheable(ctx, { restaurant: toRestaurant(restaurant), currency, items });
      },
    }),
  ];
}

/** Any cache may keep the answer for a moment, and asks by its tag whether it is still so. */
function sendCacheable(ctx: Context, body: object): void {
  ctx.body = body;
  ctx.etag = createHash('sha256').update(JSON.stringify(body)).digest('base64url');
  ctx.set('Cache-Control', `public, max-age=${MAX_AGE_S}`);
}

function toRestaurant(restaurant: Restaurant): z.infer<typeof restaurantSchema> {
  const { id: restaurantId, name, isActive, address, location, preparationS } = restaurant;
  return {
    ...{ restaurantId, name, isOpen: isActive },
    ...(address ? { address } : {}),
    ...(location ? { location: { lat: location.latitude, lng: location.longitude } } : {}),
    preparationS,
  };
}
