/** Reads the data of order views in one statement, with a revision that orders older and newer reads. */
import { and, eq, getTableColumns, ne } from 'drizzle-orm';
import type pg from 'pg';
import type { OrderView, ViewSource } from '../../../service/views/ports.ts';
import { toEta } from '../delivery/deliveries.ts';
import { toOrder } from '../orders/order-rows.ts';
import { isAnyOf, prepared } from '../queries.ts';
import { deliveries } from '../schema/delivery.ts';
import { reservations } from '../schema/inventory.ts';
import { orders } from '../schema/orders.ts';
import { payments } from '../schema/payments.ts';

const { state, riderId, pickup, dropoff, eta, etaP90, etaAt, etaChange } = deliveries;
const read = prepared('read-views', (db) =>
  db
    .select({
      order: getTableColumns(orders),
      payment: { state: payments.state, version: payments.version },
      reservation: { state: reservations.state },
      delivery: { state, riderId, pickup, dropoff, eta, etaP90, etaAt, etaChange },
    })
    .from(orders)
    .leftJoin(payments, eq(payments.orderId, orders.orderId))
    .leftJoin(reservations, and(eq(reservations.orderId, orders.orderId), ne(reservations.state, 'rejected')))
    .leftJoin(deliveries, eq(deliveries.orderId, orders.orderId))
    .where(isAnyOf(orders.orderId, 'ids')),
);
type ViewRow = Awaited<ReturnType<typeof read>>[number];

export function postgresViewSource(pool: pg.Pool): ViewSource {
  return { read: async (ids) => (await read(pool, { ids })).map(toView) };
}

function toView({ order, payment, reservation, delivery }: ViewRow): OrderView {
  return {
    order: toOrder(order),
    ...(delivery ? { delivery: toDelivery(delivery) } : {}),
    ...(payment ? { payment: payment.state } : {}),
    ...(reservation ? { reservation: reservation.state as 'reserved' | 'released' } : {}),
    // These numbers only increase: the progress of each row.
    revision: [
      order.version +
        (payment?.version ?? 0) +
        (reservation ? RESERVATION_STEPS[reservation.state] : 0) +
        (delivery ? DELIVERY_STEPS[delivery.state] : 0),
      delivery?.etaAt ?? 0,
    ],
  };
}

const RESERVATION_STEPS = { rejected: 0, reserved: 1, released: 2 } as const;
const DELIVERY_STEPS = { REQUESTED: 1, ASSIGNED: 2, PICKED_UP: 3, DELIVERED: 4, RELEASED: 4 } as const;

function toDelivery(row: NonNullable<ViewRow['delivery']>): NonNullable<OrderView['delivery']> {
  const eta = toEta(row);
  return {
    state: row.state,
    ...(row.riderId === null ? {} : { riderId: row.riderId }),
    ...(row.pickup === null ? {} : { pickup: row.pickup }),
    ...(row.dropoff === null ? {} : { dropoff: row.dropoff }),
    ...(eta ? { eta } : {}),
  };
}
