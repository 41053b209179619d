/** The ports of what fulfils an order, on the simulated database. */
import type { Rider } from '../../internal/domain/delivery.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import type { Payment } from '../../internal/domain/payment.ts';
import type { Restaurant } from '../../internal/service/inventory/ports.ts';
import type { Payments } from '../../internal/service/payments/ports.ts';
import type { Ticket, Tickets } from '../../internal/service/restaurants/ports.ts';
import type { ViewSource } from '../../internal/service/views/ports.ts';
import type { Database } from './database.ts';
import { deliveryStores } from './delivery-stores.ts';
import { messageStore } from './message-store.ts';
import type { OrderStores } from './order-stores.ts';
import { rowsOfOrders } from './rows-of-orders.ts';
import type { Scheduler } from './scheduler.ts';
import { stockStore } from './stock-store.ts';
import { viewOf } from './view-source.ts';

export type FulfilmentStores = ReturnType<typeof fulfilmentStores>;

export function fulfilmentStores(
  simulation: Scheduler,
  db: Database,
  orderStores: Pick<OrderStores, 'orderNow'>,
  restaurants: readonly Restaurant[],
) {
  const { call } = simulation;
  const payments = db.table<Payment>('payments');
  const tickets = db.table<Ticket>('tickets');
  const stock = stockStore(db);
  const { riders, deliveries, deliveriesNow, ridersNow, hire } = deliveryStores(simulation, db);

  const paymentStore: Payments = rowsOfOrders(simulation, db, payments, [
    'currency',
    'requestedMinor',
    'requestedAt',
  ]);
  const place = ({ openedAt, orderId }: Pick<Ticket, 'openedAt' | 'orderId'>) =>
    `${String(openedAt).padStart(16, '0')} ${orderId}`;
  const ticketStore: Tickets = {
    ...rowsOfOrders(simulation, db, tickets, ['restaurantId', 'openedAt']),
    listOpen: (restaurantId, { limit, after }) =>
      call('list tickets', () =>
        db
          .all(tickets)
          .filter((ticket) => ticket.restaurantId === restaurantId)
          .filter(({ state }) => state === 'OPEN' || state === 'ACCEPTED')
          .filter((ticket) => !after || place(ticket) > place(after))
          .sort((a, b) => (place(a) < place(b) ? -1 : 1))
          .slice(0, limit),
      ),
  };
  const viewSource: ViewSource = {
    read: (ids) => call('read views', () => [...new Set(ids)].flatMap((id) => viewOf(db, id))),
  };

  return {
    inventory: stock.inventory,
    payments: paymentStore,
    tickets: ticketStore,
    riders,
    deliveries,
    notifications: messageStore(simulation, db, orderStores),
    viewSource,
    catalogue: {
      look: async () => ({
        restaurants: new Map(restaurants.map((restaurant) => [restaurant.id, restaurant])),
        menuItems: new Map(),
        stocks: new Map(),
      }),
    },
    viewOf: (id: OrderId) => viewOf(db, id),
    addToStock: stock.addTo,
    linesOf: (id: OrderId) => [...(orderStores.orderNow(id)?.items ?? [])],
    /** Puts rows there before the run. */
    seed(items: Readonly<Record<string, number>>, onDuty: readonly Rider[], threshold = 0) {
      for (const [itemId, stockCount] of Object.entries(items)) stock.fill({ itemId, stockCount, threshold });
      for (const rider of onDuty) hire(rider);
    },
    now: () => ({
      stock: new Map(stock.shelves().map(({ itemId, stockCount }) => [itemId, stockCount])),
      reservations: stock.reservations(),
      payments: db.all(payments),
      deliveries: deliveriesNow(),
      riders: ridersNow(),
      tickets: db.all(tickets),
    }),
  };
}
