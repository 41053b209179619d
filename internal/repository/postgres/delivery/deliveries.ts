/** Deliveries in Postgres: one row for an order that is brought to its customer. */
import type pg from 'pg';
import type { Delivery, Place } from '../../../domain/delivery.ts';
import type { OrderId } from '../../../domain/order.ts';
import { toRfc3339 } from '../../../domain/schedule.ts';
import type { Deliveries } from '../../../service/delivery/ports.ts';
import { bulkParameters } from '../bulk-parameters.ts';
import { query } from '../database.ts';
import { clientOf } from '../transactions.ts';

interface DeliveryRow {
  order_id: string;
  state: string;
  rider_id: string | null;
  holds_place: boolean;
  restaurant_id: string | null;
  pickup_address: string | null;
  pickup: Place | null;
  dropoff: Place | null;
  attempts: number;
  requested_at: Date;
  ready_at: Date | null;
  assigned_at: Date | null;
  picked_up_at: Date | null;
  delivered_at: Date | null;
  eta: Date | null;
  eta_p90: Date | null;
  eta_at: Date | null;
}

const ROWS = bulkParameters({
  order_id: 'text',
  state: 'text',
  rider_id: 'words',
  holds_place: 'boolean',
  restaurant_id: 'words',
  pickup_address: 'words',
  pickup: 'jsonb',
  dropoff: 'jsonb',
  attempts: 'int',
  requested_at: 'timestamptz',
  ready_at: 'timestamptz',
  assigned_at: 'timestamptz',
  picked_up_at: 'timestamptz',
  delivered_at: 'timestamptz',
  eta: 'timestamptz',
  eta_p90: 'timestamptz',
  eta_at: 'timestamptz',
});
const COLUMNS = ROWS.names;

// Input: order ids. Output: the deliveries of those that have one.
const FIND = {
  name: 'find-deliveries',
  text: `SELECT ${COLUMNS} FROM deliveries WHERE order_id = ANY($1::text[])`,
};

// Input: order ids. Output: the same, locked in id order.
const LOCK = {
  name: 'lock-deliveries',
  text: `SELECT ${COLUMNS} FROM deliveries WHERE order_id = ANY($1::text[]) ORDER BY order_id FOR UPDATE`,
};

// Input: deliveries, one for an order. What was asked for never changes, nor when.
const SAVE = {
  name: 'save-deliveries',
  text: `
    INSERT INTO deliveries (${COLUMNS})
    SELECT ${COLUMNS} FROM ${ROWS.from} r
    ON CONFLICT (order_id) DO UPDATE
    SET state = excluded.state, rider_id = excluded.rider_id, holds_place = excluded.holds_place,
        attempts = excluded.attempts, assigned_at = excluded.assigned_at, picked_up_at = excluded.picked_up_at,
        delivered_at = excluded.delivered_at, eta = excluded.eta, eta_p90 = excluded.eta_p90, eta_at = excluded.eta_at`,
};

// As the index deliveries_of_rider has it.
const OF_RIDER = {
  name: 'deliveries-of-rider',
  text: `SELECT ${COLUMNS} FROM deliveries WHERE rider_id = $1 AND state IN ('ASSIGNED', 'PICKED_UP') ORDER BY order_id`,
};

export function postgresDeliveries(pool: pg.Pool): Deliveries {
  return {
    async find(orderIds) {
      return byOrder(await query<DeliveryRow>(pool, FIND, [orderIds]));
    },
    async lock(tx, orderIds) {
      return byOrder(await query<DeliveryRow>(clientOf(tx), LOCK, [orderIds]));
    },
    async save(tx, deliveries) {
      if (deliveries.length > 0) await query(clientOf(tx), SAVE, ROWS.values(deliveries.map(toColumns)));
    },
    async ofRider(riderId) {
      return (await query<DeliveryRow>(pool, OF_RIDER, [riderId])).rows.map(toDelivery);
    },
  };
}

function byOrder({ rows }: { rows: DeliveryRow[] }): Map<OrderId, Delivery> {
  return new Map(rows.map((row) => [row.order_id as OrderId, toDelivery(row)]));
}

function toDelivery(row: DeliveryRow): Delivery {
  const { eta, eta_p90: p90, eta_at: computedAt } = row;
  return {
    orderId: row.order_id as OrderId,
    state: row.state as Delivery['state'],
    ...(row.rider_id === null ? {} : { riderId: row.rider_id }),
    ...(row.holds_place ? { holdsPlace: true } : {}),
    ...(row.restaurant_id === null ? {} : { restaurantId: row.restaurant_id }),
    ...(row.pickup_address === null ? {} : { pickupAddress: row.pickup_address }),
    ...(row.pickup === null ? {} : { pickup: row.pickup }),
    ...(row.dropoff === null ? {} : { dropoff: row.dropoff }),
    attempts: row.attempts,
    requestedAt: row.requested_at.getTime(),
    ...(row.ready_at === null ? {} : { readyAt: row.ready_at.getTime() }),
    ...(row.assigned_at === null ? {} : { assignedAt: row.assigned_at.getTime() }),
    ...(row.picked_up_at === null ? {} : { pickedUpAt: row.picked_up_at.getTime() }),
    ...(row.delivered_at === null ? {} : { deliveredAt: row.delivered_at.getTime() }),
    ...(eta && p90 && computedAt
      ? { eta: { median: eta.getTime(), p90: p90.getTime(), computedAt: computedAt.getTime() } }
      : {}),
  };
}

function toColumns(delivery: Delivery) {
  const time = (at: number | undefined) => (at === undefined ? undefined : toRfc3339(at));
  return {
    order_id: delivery.orderId,
    state: delivery.state,
    rider_id: delivery.riderId,
    holds_place: delivery.holdsPlace ?? false,
    restaurant_id: delivery.restaurantId,
    pickup_address: delivery.pickupAddress,
    pickup: delivery.pickup,
    dropoff: delivery.dropoff,
    attempts: delivery.attempts,
    requested_at: toRfc3339(delivery.requestedAt),
    ready_at: time(delivery.readyAt),
    assigned_at: time(delivery.assignedAt),
    picked_up_at: time(delivery.pickedUpAt),
    delivered_at: time(delivery.deliveredAt),
    eta: time(delivery.eta?.median),
    eta_p90: time(delivery.eta?.p90),
    eta_at: time(delivery.eta?.computedAt),
  };
}
