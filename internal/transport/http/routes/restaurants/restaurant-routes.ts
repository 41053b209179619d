/** The routes of restaurants: list open tickets, accept or reject an order, report it as collected. */
import { z } from 'zod';
import { FOOD_ORDERING } from '../../../../domain/dialects.ts';
import { TiffinError } from '../../../../domain/errors.ts';
import { ORDER_ID, type Order, type OrderId } from '../../../../domain/order.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import { changeOrder } from '../../../../service/orders/change-order.ts';
import type { OrderStore } from '../../../../service/orders/ports.ts';
import {
  type AnswerDeps,
  answerTicket,
  type TicketAnswer,
  ticketNotFound,
} from '../../../../service/restaurants/answer-ticket.ts';
import type { Ticket, Tickets } from '../../../../service/restaurants/ports.ts';
import { fingerprintOf, idempotencyKey, send, sendAgain, traceparent } from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { fromCursor, limit, object, scheduleTime, text, toCursor } from '../orders/order-schemas.ts';

const TAG = 'Restaurants';
const OWN = { roles: ['restaurant', 'operator'], self: { restaurant: 'rid' } } as const;
const time = z.string().meta({ format: 'date-time' });

const answerBody = (now: () => number) =>
  z.discriminatedUnion(
    'action',
    [
      z.object({ action: z.literal('ACCEPT'), estimatedReadyTime: scheduleTime(now).optional() }),
      z.object({ action: z.literal('REJECT'), reason: text.default('REJECTED') }),
      z.object({ action: z.literal('COLLECTED') }),
    ],
    {
      error: (issue) =>
        issue.code === 'invalid_union' ? 'must be ACCEPT, REJECT or COLLECTED' : object.error(issue),
    },
  );

const answered = z
  .object({
    status: z.enum(['ACCEPTED', 'REJECTED', 'COLLECTED']),
    acceptedAt: time.optional(),
    estimatedReadyTime: time.optional(),
    rejectedAt: time.optional(),
    reason: z.string().optional(),
  })
  .meta({ id: 'TicketAnswer' });

const ticketSchema = z
  .object({
    orderId: z.string(),
    status: z.enum(['OPEN', 'ACCEPTED', 'REJECTED', 'CLOSED']),
    orderStatus: z.string().optional(),
    openedAt: time,
    estimatedReadyTime: time.optional(),
    items: z.array(z.object({ itemId: z.string(), name: z.string().optional(), quantity: z.number() })),
    specialInstructions: z.string().optional(),
  })
  .meta({ id: 'Ticket' });

export interface RestaurantDeps extends AnswerDeps {
  readonly orders: OrderStore;
  readonly tickets: Tickets;
}

export function restaurantRoutes(deps: RestaurantDeps): readonly Route[] {
  return [listing(deps), answering(deps)];
}

function listing({ tickets, orders }: RestaurantDeps): Route {
  return route({
    method: 'GET',
    path: '/v1/restaurants/:rid/orders',
    access: OWN,
    tag: TAG,
    summary: 'Lists the open and accepted tickets of a restaurant, oldest first',
    query: z.object({ cursor: fromCursor.optional(), limit }),
    answers: {
      200: {
        description: 'A page, and the cursor of the next one',
        schema: z.object({ orders: z.array(ticketSchema), nextCursor: z.string().nullable() }),
      },
      404: { description: 'No restaurant can have this id' },
    },
    async handle(ctx, { params, query: { cursor, limit } }) {
      const after = cursor && { openedAt: cursor.createdAt, orderId: cursor.id };
      if (!ORDER_ID.test(params.rid))
        throw new TiffinError('UNKNOWN_RESTAURANT', `there is no restaurant '${params.rid}'`);
      const found = await tickets.listOpen(params.rid, { limit: limit + 1, ...(after ? { after } : {}) });
      const page = found.slice(0, limit);
      const ordersById = new Map(
        (await orders.find(page.map(({ orderId }) => orderId))).map((one) => [one.id, one]),
      );
      const last = page.at(-1);
      ctx.body = {
        orders: page.map((ticket) => toTicket(ticket, ordersById.get(ticket.orderId))),
        nextCursor:
          found.length > limit && last ? toCursor({ createdAt: last.openedAt, id: last.orderId }) : null,
      };
    },
  });
}

function answering(deps: RestaurantDeps): Route {
  return route({
    method: 'POST',
    path: '/v1/restaurants/:rid/orders/:oid',
    access: OWN,
    tag: TAG,
    summary: 'Accepts an order, rejects it, or reports that it was collected',
    body: answerBody(() => deps.clock.now()),
    headers: ['Idempotency-Key'],
    answers: {
      200: { description: 'The ticket’s new status', schema: answered },
      404: { description: 'This restaurant has no such order' },
      409: { description: 'The order was answered before, is not confirmed yet, or has passed its deadline' },
    },
    async handle(ctx, { params: { rid, oid }, body, principal }) {
      if (!ORDER_ID.test(rid) || !ORDER_ID.test(oid)) throw ticketNotFound(rid, oid);
      const orderId = oid as OrderId;
      if (body.action === 'COLLECTED') {
        await assertOwn(deps, rid, orderId);
        await changeOrder(deps, {
          id: orderId,
          commands: () => [{ type: 'advance', to: 'COMPLETED', by: 'request' }],
          origin: { producer: 'restaurant-service', traceparent: traceparent(ctx) },
        });
        ctx.body = { status: 'COLLECTED' };
        return;
      }
      const answer: TicketAnswer['answer'] =
        body.action === 'ACCEPT'
          ? { type: 'accept', estimatedReadyAt: body.estimatedReadyTime }
          : { type: 'reject', reason: body.reason };
      const operation = 'POST /v1/restaurants/{rid}/orders/{oid}';
      const key = idempotencyKey(ctx, principal, operation, fingerprintOf(rid, orderId, body));
      const result = await answerTicket(deps, {
        restaurantId: rid,
        orderId,
        answer,
        traceparent: traceparent(ctx),
        idempotency: key && { key, answer: toResponse },
      });
      if ('answer' in result) sendAgain(ctx, result.answer);
      else send(ctx, toResponse(result.result));
    },
  });
}

async function assertOwn({ orders }: RestaurantDeps, restaurantId: string, id: OrderId): Promise<void> {
  const [order] = await orders.find([id]);
  if (order?.restaurantId !== restaurantId) throw ticketNotFound(restaurantId, id);
}

function toResponse({ state, answeredAt = 0, estimatedReadyAt, reason }: Ticket) {
  const body: z.infer<typeof answered> =
    state === 'REJECTED'
      ? { status: 'REJECTED', rejectedAt: toRfc3339(answeredAt), ...(reason ? { reason } : {}) }
      : {
          status: 'ACCEPTED',
          acceptedAt: toRfc3339(answeredAt),
          ...(estimatedReadyAt === undefined ? {} : { estimatedReadyTime: toRfc3339(estimatedReadyAt) }),
        };
  return { status: 200, headers: {}, body };
}

function toTicket(ticket: Ticket, order: Order | undefined): z.infer<typeof ticketSchema> {
  return {
    orderId: ticket.orderId,
    status: ticket.state,
    ...(order ? { orderStatus: FOOD_ORDERING[order.status] } : {}),
    openedAt: toRfc3339(ticket.openedAt),
    ...(ticket.estimatedReadyAt === undefined
      ? {}
      : { estimatedReadyTime: toRfc3339(ticket.estimatedReadyAt) }),
    items: (order?.items ?? []).map(({ itemId, name, quantity }) => ({
      itemId,
      ...(name ? { name } : {}),
      quantity,
    })),
    ...(order?.specialInstructions ? { specialInstructions: order.specialInstructions } : {}),
  };
}
