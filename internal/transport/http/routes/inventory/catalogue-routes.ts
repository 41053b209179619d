/** The routes of the catalogue and of stock: add a restaurant, add an item, read an item's stock. */
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import { toDecimal } from '../../../../domain/money.ts';
import { ORDER_ID } from '../../../../domain/order.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { Catalogue } from '../../../../service/inventory/ports.ts';
import { type Route, route } from '../../route.ts';
import { expected, name, object, price, text } from '../orders/order-schemas.ts';

const TAG = 'Catalogue and stock';
const STAFF = { roles: ['operator'] } as const;
const ANYONE_KNOWN = { roles: ['customer', 'restaurant', 'rider', 'operator'] } as const;
const time = z.string().meta({ format: 'date-time' });
const MOST = 1_000_000_000;
const UNITS = `must be a whole number from 0 to ${MOST}`;
const units = z.number(expected('a whole number')).int(UNITS).min(0, UNITS).max(MOST, UNITS);

export const location = z.object(
  {
    lat: z.number(expected('degrees')).min(-90, 'must be at least -90').max(90, 'must be at most 90'),
    lng: z.number(expected('degrees')).min(-180, 'must be at least -180').max(180, 'must be at most 180'),
  },
  object,
);

const restaurantBody = z.object(
  {
    name,
    is_active: z.boolean(expected('true or false')).default(true),
    acceptance: z
      .enum(['automatic', 'manual'], { error: 'must be automatic or manual' })
      .default('automatic'),
    address: text.default(''),
    location: location.optional(),
    preparation_s: units.default(900),
  },
  object,
);

const itemBody = z
  .object(
    {
      name,
      price,
      initial_qty: units.optional(),
      available_qty: units.optional(),
      threshold_qty: units.default(0),
      is_active: z.boolean(expected('true or false')).default(true),
    },
    object,
  )
  .refine(({ initial_qty, available_qty }) => (initial_qty ?? available_qty) !== undefined, {
    message: 'is required',
    path: ['initial_qty'],
    // Run this check even if other fields are invalid, so that all problems are reported at once.
    when: ({ value }) => typeof value === 'object' && value !== null && !Array.isArray(value),
  })
  .meta({ anyOf: [{ required: ['initial_qty'] }, { required: ['available_qty'] }] });

/** Whether a restaurant or an item can have this id; other texts are not searched, and Postgres cannot store some of them. */
function isId(text: string): boolean {
  return ORDER_ID.test(text);
}

export interface CatalogueDeps {
  readonly catalogue: Catalogue;
  readonly newId: () => string;
}

export function catalogueRoutes(deps: CatalogueDeps): readonly Route[] {
  return [addRestaurant(deps), addItem(deps), stockOf(deps)];
}

function addRestaurant({ catalogue, newId }: CatalogueDeps): Route {
  return route({
    method: 'POST',
    path: '/api/v1/inventory/add/restaurant',
    access: STAFF,
    tag: TAG,
    summary: 'Adds a restaurant',
    body: restaurantBody,
    answers: {
      201: {
        description: 'The restaurant was added',
        schema: z.object({
          id: z.string(),
          restaurant_id: z.string(),
          name: z.string(),
          is_active: z.boolean(),
        }),
      },
    },
    async handle(ctx, { body: { name, is_active, acceptance, address, location, preparation_s } }) {
      const id = newId();
      await catalogue.addRestaurant({
        id,
        name,
        isActive: is_active,
        acceptance,
        address,
        ...(location ? { location: { latitude: location.lat, longitude: location.lng } } : {}),
        preparationS: preparation_s,
      });
      ctx.status = 201;
      ctx.body = { id, restaurant_id: id, name, is_active };
    },
  });
}

function addItem({ catalogue, newId }: CatalogueDeps): Route {
  return route({
    method: 'POST',
    path: '/api/v1/inventory/add/:rid/item',
    access: { roles: ['restaurant', 'operator'], self: { restaurant: 'rid' } },
    tag: TAG,
    summary: 'Adds an item with its stock to a restaurant’s menu',
    body: itemBody,
    answers: {
      201: {
        description: 'The item was added',
        schema: z.object({
          id: z.string(),
          menu_item_id: z.string(),
          name: z.string(),
          price: z.number(),
          available_qty: z.number(),
        }),
      },
      404: { description: 'There is no such restaurant' },
    },
    async handle(ctx, { params, body }) {
      if (!isId(params.rid))
        throw new TiffinError('UNKNOWN_RESTAURANT', `there is no restaurant '${params.rid}'`);
      const id = newId();
      const stockCount = body.initial_qty ?? body.available_qty ?? 0;
      await catalogue.addItem(
        { id, restaurantId: params.rid, name: body.name, priceMinor: body.price, isActive: body.is_active },
        { stockCount, threshold: body.threshold_qty },
      );
      ctx.status = 201;
      ctx.body = {
        id,
        menu_item_id: id,
        name: body.name,
        price: toDecimal(body.price),
        available_qty: stockCount,
      };
    },
  });
}

function stockOf({ catalogue }: CatalogueDeps): Route {
  return route({
    method: 'GET',
    path: '/api/v1/inventory/:id',
    access: ANYONE_KNOWN,
    tag: TAG,
    summary: 'Reads the available stock of an item',
    answers: {
      200: {
        description: 'The stock',
        schema: z.object({ menu_item_id: z.string(), available_qty: z.number(), updated_at: time }),
      },
      404: { description: 'There is no such item' },
    },
    async handle(ctx, { params: { id } }) {
      const stock = isId(id) ? (await catalogue.look({ items: [id] })).stocks.get(id) : undefined;
      if (!stock) throw new TiffinError('ITEM_NOT_FOUND', `there is no item '${id}'`);
      ctx.body = {
        menu_item_id: id,
        available_qty: stock.stockCount,
        updated_at: toRfc3339(stock.updatedAt),
      };
    },
  });
}
