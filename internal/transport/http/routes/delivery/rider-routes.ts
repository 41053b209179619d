/** The routes of riders: register, report a position, list assigned orders, report a pick-up or delivery. */
import { z } from 'zod';
import { TiffinError } from '../../../../domain/errors.ts';
import { ORDER_ID } from '../../../../domain/order.ts';
import type { Deliveries, RiderMoves, Riders } from '../../../../service/delivery/ports.ts';
import { type TrackDeps, trackDelivery } from '../../../../service/delivery/track-delivery.ts';
import { traceparent } from '../../request-headers.ts';
import { type Route, route } from '../../route.ts';
import { orderIdOf } from '../orders/order-answers.ts';
import { expected, moment, name } from '../orders/order-schemas.ts';
import {
  type CarriedDeps,
  carriedSchema,
  location,
  readRider,
  riderIdOf,
  riderNotFound,
  riderSchema,
  toPlace,
  toRider,
} from './carried-orders.ts';

const TAG = 'Riders';
const ACCESS = { roles: ['rider', 'operator'], self: { rider: 'rid' } } as const;
const UNKNOWN = { description: 'There is no such rider' };
/** How far a rider's clock may be ahead of the server's, ms. */
const CLOCK_SKEW_MS = 60_000;

const WHOLE = 'must be a whole number from 1 to 100';
const riderBody = z.object(
  {
    name,
    onDuty: z.boolean(expected('true or false')).default(true),
    location: location.optional(),
    capacity: z
      .number(expected('a whole number from 1 to 100'))
      .int(WHOLE)
      .min(1, WHOLE)
      .max(100, WHOLE)
      .default(2),
  },
  expected('a JSON object'),
);

/** A time by the rider's clock; any past time is accepted. */
function reportedAt(now: () => number) {
  return moment.refine((at) => at <= now() + CLOCK_SKEW_MS, 'must not be in the future');
}

export interface RiderRouteDeps extends TrackDeps, CarriedDeps {
  readonly riders: Riders;
  readonly deliveries: Deliveries;
  readonly riderMoves: Pick<RiderMoves, 'tell'>;
}

export function riderRoutes(deps: RiderRouteDeps): readonly Route[] {
  return [registering(deps), moving(deps), listing(deps), reporting(deps)];
}

function registering({ riders, riderMoves, clock }: RiderRouteDeps): Route {
  return route({
    method: 'PUT',
    path: '/v1/riders/:rid',
    access: ACCESS,
    tag: TAG,
    summary: 'Registers or updates a rider; assigned orders stay, and so does the location if none is given',
    body: riderBody,
    answers: { 200: { description: 'The current rider', schema: riderSchema } },
    async handle(ctx, { params, body }) {
      if (!ORDER_ID.test(params.rid)) {
        const detail = 'the id of a rider must be 1 to 64 letters, digits, dots, hyphens or underscores';
        throw new TiffinError('INVALID_INPUT', detail, { problems: [{ code: 'INVALID_RIDER_ID', detail }] });
      }
      const { name, onDuty, location, capacity } = body;
      const place = location && toPlace(location);
      const changed = { id: params.rid, name, isOnDuty: onDuty, capacity, ...(place ? { place } : {}) };
      ctx.body = toRider(await riders.put(changed, clock.now()));
      if (place) riderMoves.tell(params.rid);
    },
  });
}

function moving({ riders, riderMoves, clock }: RiderRouteDeps): Route {
  return route({
    method: 'POST',
    path: '/v1/riders/:rid/position',
    access: ACCESS,
    tag: TAG,
    summary: 'Reports a rider’s position; a report older than the last one is ignored',
    body: location.extend({ timestamp: reportedAt(() => clock.now()).optional() }),
    answers: { 204: { description: 'The position was recorded or ignored' }, 404: UNKNOWN },
    async handle(ctx, { params, body }) {
      const now = clock.now();
      const at = Math.min(body.timestamp ?? now, now);
      const isKnown = await riders.move(riderIdOf(params.rid), toPlace(body), at);
      if (!isKnown) throw riderNotFound(params.rid);
      riderMoves.tell(params.rid);
      ctx.status = 204;
    },
  });
}

function listing(deps: RiderRouteDeps): Route {
  return route({
    method: 'GET',
    path: '/v1/riders/:rid/orders',
    access: ACCESS,
    tag: TAG,
    summary: 'Lists the orders that a rider has to pick up or carries',
    answers: {
      200: {
        description: 'The orders, each with pick-up and drop-off',
        schema: z.object({ orders: z.array(carriedSchema) }),
      },
      404: UNKNOWN,
    },
    async handle(ctx, { params }) {
      ctx.body = { orders: (await readRider(deps, riderIdOf(params.rid))).orders };
    },
  });
}

function reporting(deps: RiderRouteDeps): Route {
  const body = z.object(
    {
      status: z.enum(['PICKED_UP', 'DELIVERED'], { error: 'must be PICKED_UP or DELIVERED' }),
      timestamp: reportedAt(() => deps.clock.now()),
      location: location.optional(),
    },
    expected('a JSON object'),
  );
  return route({
    method: 'PATCH',
    path: '/v1/riders/:rid/orders/:id',
    access: ACCESS,
    tag: TAG,
    summary: 'Reports that the rider picked an order up or delivered it',
    body,
    answers: {
      204: { description: 'The report was recorded, now or by an earlier request' },
      404: UNKNOWN,
      409: {
        description: 'The order is not assigned to this rider, was not picked up, or has already ended',
      },
    },
    async handle(ctx, { params, body: { status, timestamp, location } }) {
      await trackDelivery(deps, {
        riderId: riderIdOf(params.rid),
        orderId: orderIdOf(params.id),
        status,
        at: timestamp,
        ...(location ? { place: toPlace(location) } : {}),
        traceparent: traceparent(ctx),
      });
      // Other orders that the rider has show the place, too.
      if (location) deps.riderMoves.tell(params.rid);
      ctx.status = 204;
    },
  });
}
