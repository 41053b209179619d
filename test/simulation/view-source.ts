/** The views of orders, as they are read from the simulated database. */
import type { Delivery } from '../../internal/domain/delivery.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import type { Payment } from '../../internal/domain/payment.ts';
import type { OrderView } from '../../internal/service/views/ports.ts';
import type { Database } from './database.ts';
import type { Reservation } from './stock-store.ts';
import type { OrderRow } from './transactions.ts';

const RESERVATION_STEPS = { reserved: 1, released: 2 } as const;
const DELIVERY_STEPS = { REQUESTED: 1, ASSIGNED: 2, PICKED_UP: 3, DELIVERED: 4, RELEASED: 4 } as const;

/** The steps of each row count as in the view source on Postgres. */
export function viewOf(db: Database, id: OrderId): OrderView[] {
  const order = db.get(db.table<OrderRow>('orders'), id)?.order;
  if (!order) return [];
  const payment = db.get(db.table<Payment>('payments'), id);
  const row = db.get(db.table<Reservation>('reservations'), id);
  const reservation = row?.state === 'rejected' ? undefined : row?.state;
  const delivery = db.get(db.table<Delivery>('deliveries'), id);
  const changes =
    order.version +
    (payment?.version ?? 0) +
    (reservation ? RESERVATION_STEPS[reservation] : 0) +
    (delivery ? DELIVERY_STEPS[delivery.state] : 0);
  return [
    {
      order,
      ...(delivery ? { delivery: shownOf(delivery) } : {}),
      ...(payment ? { payment: payment.state } : {}),
      ...(reservation ? { reservation } : {}),
      revision: [changes, delivery?.eta?.computedAt ?? 0],
    },
  ];
}

function shownOf({ state, riderId, pickup, dropoff, eta }: Delivery): NonNullable<OrderView['delivery']> {
  return {
    state,
    ...(riderId ? { riderId } : {}),
    ...(pickup ? { pickup } : {}),
    ...(dropoff ? { dropoff } : {}),
    ...(eta ? { eta } : {}),
  };
}
