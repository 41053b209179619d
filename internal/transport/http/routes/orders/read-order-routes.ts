/** The routes that read one order by its id, or all orders in pages. */
import type { Context } from 'koa';
import { z } from 'zod';
import type { OrderId } from '../../../../domain/order.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import type { Principal } from '../../principal.ts';
import { etag, send, UNCHANGED } from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { findOrder, orderIdOf } from './order-answers.ts';
import { idQuery, listQuery, toCursor } from './order-schemas.ts';
import { itemsOrder, listedOrder, scheduledOrder, toListedOrder, toShownOrder } from './presenters.ts';

const OWN_ORDERS = { roles: ['customer', 'operator'] } as const;
const NOT_FOUND = { description: 'There is no such order, or it is someone else’s' };

export function readOrderRoutes({ orders }: { readonly orders: OrderStore }): Route[] {
  async function show(ctx: Context, principal: Principal, id: OrderId): Promise<void> {
    const order = await findOrder(orders, principal, id);
    send(ctx, { status: 200, headers: { ETag: etag(order.version) }, body: toShownOrder(order) });
  }
  const shown = {
    method: 'GET',
    access: OWN_ORDERS,
    tag: 'Orders',
    summary: 'One order',
    headers: ['If-None-Match'],
    answers: {
      200: { description: 'The order', schema: z.union([scheduledOrder, itemsOrder]), headers: ['ETag'] },
      304: UNCHANGED,
      404: NOT_FOUND,
    },
  } as const;

  return [
    route({
      ...shown,
      path: '/orders',
      query: idQuery,
      handle: (ctx, { query, principal }) => show(ctx, principal, query.id),
    }),
    route({
      ...shown,
      path: '/orders/:id',
      handle: (ctx, { params, principal }) => show(ctx, principal, orderIdOf(params.id)),
    }),
    route({
      method: 'GET',
      path: '/v1/orders',
      access: { roles: ['operator'] },
      tag: 'Orders',
      summary: 'All orders, newest first, in pages',
      query: listQuery,
      answers: {
        200: {
          description: 'A page, and the cursor of the next one',
          schema: z.object({ orders: z.array(listedOrder), nextCursor: z.string().nullable() }),
        },
      },
      async handle(ctx, { query: { cursor, limit, ...filters } }) {
        // One entry more than requested shows whether there is a next page.
        const found = await orders.list({
          ...filters,
          ...(cursor ? { after: cursor } : {}),
          limit: limit + 1,
        });
        const page = found.slice(0, limit);
        const last = page.at(-1);
        ctx.body = {
          orders: page.map(toListedOrder),
          nextCursor: found.length > limit && last ? toCursor(last) : null,
        };
      },
    }),
  ];
}
