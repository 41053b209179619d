/** Following an order by a link, without a login: what the holder of a link sees of the order, and what it may change. */
import type { Context } from 'koa';
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import type { OrderCommand } from '../../../../domain/order-decisions.ts';
import { toRfc3339 } from '../../../../domain/schedule.ts';
import type { OrderView } from '../../../../service/views/ports.ts';
import { viewOrder } from '../../../../service/views/project-views.ts';
import type { Principal } from '../../principal.ts';
import { send, UNCHANGED, viewTag } from '../../request-headers.ts';
import { type Answer, type Route, route } from '../../route.ts';
import type { TrackingLink, TrackingLinks } from '../../tracking-links.ts';
import { answerChange, type ChangeRouteDeps, toCancel, toReschedule } from '../orders/change-routes.ts';
import { findOrder, orderIdOf, orderNotFound } from '../orders/order-answers.ts';
import { cancelBody, rescheduleBody } from '../orders/order-schemas.ts';
import { message } from './live-stream.ts';
import { type PositionDeps, riderFollower, riderOf } from './rider-position.ts';
import { orderStream, STREAM_ANSWERS, type StreamDeps } from './stream-route.ts';
import {
  changedOrder,
  followedOrder,
  type Right,
  toChanged,
  toRiderPlace,
  toTracked,
} from './tracked-order.ts';

const TAG = 'Tracking';
const DAY_S = 86_400;
const time = z.string().meta({ format: 'date-time' });
const params = { token: z.string().min(1).meta({ description: 'The token of a tracking link' }) };

const linkBody = z
  .object({
    may: z.enum(['read', 'change'], { error: 'must be read or change' }).default('read'),
    lastsS: z
      .int({ error: 'must be a whole number of seconds' })
      .min(60, 'must be at least 60')
      .max(365 * DAY_S, `must be at most ${365 * DAY_S}`)
      .default(30 * DAY_S),
  })
  .prefault({});

const link = z
  .object({
    token: z.string(),
    may: z.enum(['read', 'change']),
    expiresAt: time,
  })
  .meta({ id: 'TrackingLink' });

const ANSWERS = {
  404: { description: 'There is no such link, or its order is no longer stored' },
  410: { description: 'The link has expired' },
} as const satisfies Record<number, Answer>;

export interface LinkDeps extends Pick<ChangeRouteDeps, 'orders' | 'clock' | 'maxReschedules'> {
  readonly trackingLinks: TrackingLinks;
}

/** The routes that make a link, and that change an order by one. */
export function trackingLinkRoutes(deps: LinkDeps & ChangeRouteDeps): readonly Route[] {
  const { trackingLinks, orders, clock } = deps;
  const answers: Record<number, Answer> = {
    ...ANSWERS,
    200: { description: 'The changed order', schema: changedOrder, headers: ['ETag'] },
    403: { description: 'The link is for reading only' },
    409: { description: 'The order’s status no longer allows this change, or it was rescheduled too often' },
  };
  async function change(ctx: Context, token: string, command: OrderCommand): Promise<void> {
    const held = trackingLinks.read(token);
    if (held.may === 'read') throw new TiffinError('LINK_READS_ONLY', 'this link is for reading only');
    const { orderId: id } = held;
    await answerChange(deps, ctx, { id, command, principal: holderOf(held), changed: toChanged });
  }

  return [
    route({
      method: 'POST',
      path: '/v1/orders/:id/tracking-links',
      access: { roles: ['customer', 'operator'] },
      tag: TAG,
      summary: 'Makes a link with which an order can be followed without a login, until it expires',
      body: linkBody,
      bodyOptional: true,
      answers: {
        201: { description: 'The link', schema: link, headers: ['Location'] },
        404: { description: 'There is no such order, or it is someone else’s' },
      },
      async handle(ctx, { params, body: { may, lastsS }, principal }) {
        const orderId = orderIdOf(params.id);
        await findOrder(orders, principal, orderId);
        const expiresAt = (Math.trunc(clock.now() / 1_000) + lastsS) * 1_000;
        const token = trackingLinks.tokenOf({ orderId, may, expiresAt });
        send(ctx, {
          status: 201,
          headers: { Location: `/v1/tracking/${token}`, 'Cache-Control': 'no-store' },
          body: { token, may, expiresAt: toRfc3339(expiresAt) },
        });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/tracking/:token/cancel',
      access: 'anyone',
      tag: TAG,
      summary: 'Cancels the order of a link, if the link is one to change it',
      params,
      body: cancelBody,
      bodyOptional: true,
      headers: ['Idempotency-Key', 'If-Match'],
      answers,
      handle: (ctx, { params, body }) => change(ctx, params.token, toCancel(body)),
    }),
    route({
      method: 'PATCH',
      path: '/v1/tracking/:token/schedule',
      access: 'anyone',
      tag: TAG,
      summary: 'Reschedules the order of a link, if the link is one to change it',
      params,
      body: rescheduleBody(() => clock.now()),
      headers: ['If-Match'],
      answers,
      handle: (ctx, { params, body }) => change(ctx, params.token, toReschedule(deps, body)),
    }),
  ];
}

export interface TrackingDeps extends StreamDeps, PositionDeps {
  readonly trackingLinks: TrackingLinks;
}

/** The routes that show an order by a link. */
export function trackingRoutes(deps: TrackingDeps): readonly Route[] {
  const streamFor = (may: Right) =>
    orderStream(deps, {
      present: async (view) => toTracked(view, may, await riderOf(deps, view)),
      beside: (send) => riderFollower(deps, (rider) => send(message('rider', toRiderPlace(rider, may)))),
    });
  const streams = { read: streamFor('read'), change: streamFor('change') };
  async function viewOf({ orderId }: TrackingLink): Promise<OrderView> {
    const view = await viewOrder(deps, orderId);
    if (!view) throw orderNotFound(orderId);
    return view;
  }

  return [
    route({
      method: 'GET',
      path: '/v1/tracking/:token',
      access: 'anyone',
      tag: TAG,
      summary: 'The order of a link, without what would tell who ordered it',
      params,
      headers: ['If-None-Match'],
      answers: {
        ...ANSWERS,
        200: { description: 'The order, and what the link allows', schema: followedOrder },
        304: UNCHANGED,
      },
      async handle(ctx, { params }) {
        const held = deps.trackingLinks.read(params.token);
        const view = await viewOf(held);
        const { may, expiresAt } = held;
        const rider = await riderOf(deps, view);
        const readToken = may === 'change' && deps.trackingLinks.tokenOf({ ...held, may: 'read' });
        send(ctx, {
          status: 200,
          headers: { ETag: viewTag(view, ...(rider?.placeAt ? [rider.placeAt] : [])) },
          body: {
            ...toTracked(view, may, rider),
            link: { may, expiresAt: toRfc3339(expiresAt), ...(readToken ? { readToken } : {}) },
          },
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/tracking/:token/stream',
      access: 'anyone',
      tag: TAG,
      summary:
        'Streams the changes of a link’s order: an event `view` for each change, `rider` when the rider has moved (at most each second), `end` after the last',
      params,
      headers: ['Last-Event-ID'],
      answers: { ...ANSWERS, ...STREAM_ANSWERS },
      async handle(ctx, { params }) {
        const held = deps.trackingLinks.read(params.token);
        await streams[held.may](ctx, holderOf(held), await viewOf(held));
      },
    }),
  ];
}

/** The holder of a link: limits of streams and idempotency keys are those of the order, and a stream ends with the link. */
function holderOf({ orderId, expiresAt }: TrackingLink): Principal {
  return { subject: `link to ${orderId}`, roles: [], expiresAt };
}
