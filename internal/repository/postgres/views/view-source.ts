/** What is shown of orders, read in one statement, so that two readings can be told older and newer. */
import type pg from 'pg';
import type { Delivery } from '../../../domain/delivery.ts';
import type { PaymentState } from '../../../domain/payment.ts';
import type { OrderView, ViewSource } from '../../../service/views/ports.ts';
import { query } from '../database.ts';
import { ORDER_COLUMNS, type OrderRow, toOrder } from '../orders/order-rows.ts';

// Input: order ids. Output: each order with how its payment, its reservation and its delivery stand.
const READ = {
  name: 'read-views',
  text: `SELECT o.*, p.state AS payment_state, p.version AS payment_version, r.state AS reservation_state,
      d.state AS delivery_state, d.rider_id, d.eta, d.eta_p90, d.eta_at
    FROM (SELECT ${ORDER_COLUMNS} FROM orders WHERE order_id = ANY($1::text[])) o
    LEFT JOIN payments p USING (order_id) LEFT JOIN deliveries d USING (order_id)
    LEFT JOIN reservations r ON r.order_id = o.order_id AND r.state <> 'rejected'`,
};

interface ViewRow extends OrderRow {
  payment_state: PaymentState | null;
  payment_version: number | null;
  reservation_state: 'reserved' | 'released' | null;
  delivery_state: Delivery['state'] | null;
  rider_id: string | null;
  eta: Date | null;
  eta_p90: Date | null;
  eta_at: Date | null;
}

export function postgresViewSource(pool: pg.Pool): ViewSource {
  return {
    async read(orderIds) {
      return (await query<ViewRow>(pool, READ, [orderIds])).rows.map(toView);
    },
  };
}

function toView(row: ViewRow): OrderView {
  const order = toOrder(row);
  return {
    order,
    ...(row.delivery_state ? { delivery: toDelivery(row, row.delivery_state) } : {}),
    ...(row.payment_state ? { payment: row.payment_state } : {}),
    ...(row.reservation_state ? { reservation: row.reservation_state } : {}),
    revision: [
      order.version + (row.payment_version ?? 0) + reservationSteps(row) + deliverySteps(row),
      row.eta_at?.getTime() ?? 0,
    ],
  };
}

/** How far it has come, as each of the numbers that make a revision: they only ever rise. */
function reservationSteps({ reservation_state: state }: ViewRow): number {
  return state === null ? 0 : state === 'reserved' ? 1 : 2;
}

const DELIVERY_STEPS = { REQUESTED: 1, ASSIGNED: 2, PICKED_UP: 3, DELIVERED: 4, RELEASED: 4 } as const;

function deliverySteps({ delivery_state: state }: ViewRow): number {
  return state === null ? 0 : DELIVERY_STEPS[state];
}

function toDelivery(row: ViewRow, state: Delivery['state']): NonNullable<OrderView['delivery']> {
  const { eta, eta_p90: p90, eta_at: at } = row;
  return {
    state,
    ...(row.rider_id === null ? {} : { riderId: row.rider_id }),
    ...(eta && p90 && at
      ? { eta: { median: eta.getTime(), p90: p90.getTime(), computedAt: at.getTime() } }
      : {}),
  };
}
