/** The routes of restaurants: list open tickets, accept or reject an order, report it as collected. */
import { z } from 'zod';
import { ORDER_ID, type OrderId } from '../../../../domain/order.ts';
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
import { reportReady } from '../../../../service/restaurants/report-ready.ts';
import { fingerprintOf, idempotencyKey, send, sendAgain, traceparent } from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { fromCursor, limit, object, scheduleTime, text, toCursor } from '../orders/order-schemas.ts';
import { readTickets, ticketSchema, toTicket, unknownRestaurant } from './open-tickets.ts';

const TAG = 'Restaurants';
const OWN = { roles: ['restaurant', 'operator'], self: { restaurant: 'rid' } } as const;
const time = z.string().meta({ format: 'date-time' });

const answerBody = (now: () => number) =>
  z.discriminatedUnion(
    'action',
    [
      z.object({ action: z.literal('ACCEPT'), estimatedReadyTime: scheduleTime(now).optional() }),
      z.object({ action: z.literal('REJECT'), reason: text.default('REJECTED') }),
      z.object({ action: z.literal('READY') }),
      z.object({ action: z.literal('COLLECTED') }),
    ],
    {
      error: (issue) =>
        issue.code === 'invalid_union' ? 'must be ACCEPT, REJECT, READY or COLLECTED' : object.error(issue),
    },
  );

const answered = z
  .object({
    status: z.enum(['ACCEPTED', 'REJECTED', 'READY', 'COLLECTED']),
    acceptedAt: time.optional(),
    estimatedReadyTime: time.optional(),
    rejectedAt: time.optional(),
    reason: z.string().optional(),
    readyAt: time.optional(),
  })
  .meta({ id: 'TicketAnswer' });

export interface RestaurantDeps extends AnswerDeps {
  readonly orders: OrderStore;
  readonly tickets: Tickets;
}

export function restaurantRoutes(deps: RestaurantDeps): readonly Route[] {
  return [listing(deps), answering(deps)];
}

function listing(deps: RestaurantDeps): Route {
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
      if (!ORDER_ID.test(params.rid)) throw unknownRestaurant(params.rid);
      const found = await readTickets(deps, params.rid, { limit: limit + 1, ...(after ? { after } : {}) });
      const page = found.slice(0, limit);
      const last = page.at(-1)?.ticket;
      ctx.body = {
        orders: page.map(toTicket),
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
    summary: 'Accepts an order, rejects it, or reports that it is ready or was collected',
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
      if (body.action === 'READY') {
        const about = { restaurantId: rid, orderId, traceparent: traceparent(ctx) };
        ctx.body = { status: 'READY', readyAt: toRfc3339(await reportReady(deps, about)) };
        return;
      }
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
