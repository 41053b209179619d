/** Tables of riders and deliveries. */
import { sql } from 'drizzle-orm';
import { boolean, check, doublePrecision, index, integer, pgTable, varchar } from 'drizzle-orm/pg-core';
import type { Delivery, EtaChange, Place } from '../../../domain/delivery.ts';
import type { OrderId } from '../../../domain/order.ts';
import { jsonb, timestamptz, varcharC } from './columns.ts';

/** Fillfactor 50, since riders' positions and loads change often. */
export const riders = pgTable(
  'riders',
  {
    riderId: varcharC('rider_id', { length: 64 }).primaryKey(),
    name: varchar('name', { length: 256 }).notNull(),
    isOnDuty: boolean('is_on_duty').notNull().default(true),
    latitude: doublePrecision('latitude'),
    longitude: doublePrecision('longitude'),
    /** Orders that the rider carries. May exceed the capacity after it was lowered or an order was handed over. */
    carrying: integer('carrying').notNull().default(0),
    /** An assignment may not raise `carrying` above this number. */
    capacity: integer('capacity').notNull().default(2),
    movedAt: timestamptz('moved_at').notNull().default(sql`now()`),
  },
  (table) => [
    check('riders_latitude_check', sql`${table.latitude} between -90 and 90`),
    check('riders_longitude_check', sql`${table.longitude} between -180 and 180`),
    check('riders_carrying_check', sql`${table.carrying} >= 0`),
    check('riders_capacity_check', sql`${table.capacity} > 0`),
    check('riders_check', sql`(${table.latitude} is null) = (${table.longitude} is null)`),
    // Finds the riders nearest to a pickup in degrees; the distance in metres then decides among them.
    index('riders_free')
      .using('gist', sql`point(${table.longitude}, ${table.latitude})`)
      .where(
        sql`${table.isOnDuty} and ${table.carrying} < ${table.capacity} and ${table.latitude} is not null`,
      ),
  ],
);

export const deliveries = pgTable(
  'deliveries',
  {
    orderId: varcharC('order_id', { length: 64 }).$type<OrderId>().primaryKey(),
    state: varchar('state', { length: 16 }).$type<Delivery['state']>().notNull(),
    riderId: varcharC('rider_id', { length: 64 }),
    /** The delivery occupies one of the rider's places: riders.carrying counts these rows. */
    holdsPlace: boolean('holds_place').notNull().default(false),
    restaurantId: varchar('restaurant_id', { length: 64 }),
    pickupAddress: varchar('pickup_address', { length: 512 }),
    /** [latitude, longitude], or null if unknown. */
    pickup: jsonb('pickup').$type<Place>(),
    dropoff: jsonb('dropoff').$type<Place>(),
    attempts: integer('attempts').notNull().default(0),
    requestedAt: timestamptz('requested_at').notNull(),
    readyAt: timestamptz('ready_at'),
    assignedAt: timestamptz('assigned_at'),
    pickedUpAt: timestamptz('picked_up_at'),
    deliveredAt: timestamptz('delivered_at'),
    eta: timestamptz('eta'),
    etaP90: timestamptz('eta_p90'),
    etaAt: timestamptz('eta_at'),
    etaChange: jsonb('eta_change').$type<EtaChange>(),
  },
  (table) => [
    check(
      'deliveries_state_check',
      sql`${table.state} in ('REQUESTED', 'ASSIGNED', 'PICKED_UP', 'DELIVERED', 'RELEASED')`,
    ),
    check(
      'deliveries_check',
      sql`${table.riderId} is not null or ${table.state} in ('REQUESTED', 'RELEASED')`,
    ),
    check('deliveries_check1', sql`not ${table.holdsPlace} or ${table.state} in ('ASSIGNED', 'PICKED_UP')`),
    check('deliveries_check2', sql`${table.etaP90} >= ${table.eta}`),
    index('deliveries_of_rider')
      .on(table.riderId, table.orderId)
      .where(sql`${table.state} in ('ASSIGNED', 'PICKED_UP')`),
  ],
);
