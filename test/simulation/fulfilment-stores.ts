/** The ports of stock, payments, tickets, riders, deliveries, messages and views, on the simulated database. */
import type { Delivery, Rider } from '../../internal/domain/delivery.ts';
import { addUp, allot } from '../../internal/domain/inventory.ts';
import { type Notification, notificationKey } from '../../internal/domain/notification.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import type { Payment } from '../../internal/domain/payment.ts';
import type { Deliveries, Riders } from '../../internal/service/delivery/ports.ts';
import type {
  Inventory,
  Lines,
  ReservationOutcome,
  Restaurant,
} from '../../internal/service/inventory/ports.ts';
import type { Notifications } from '../../internal/service/notifications/ports.ts';
import type { Payments } from '../../internal/service/payments/ports.ts';
import type { Transaction } from '../../internal/service/ports.ts';
import type { Ticket, Tickets } from '../../internal/service/restaurants/ports.ts';
import type { OrderView, ViewSource } from '../../internal/service/views/ports.ts';
import { type Database, type Session, sessionOf, type Table } from './database.ts';
import type { OrderStores } from './order-stores.ts';
import type { Scheduler } from './scheduler.ts';

export interface Reservation {
  readonly orderId: OrderId;
  readonly state: 'reserved' | 'released' | 'rejected';
  readonly lines: Lines;
}

export type FulfilmentStores = ReturnType<typeof fulfilmentStores>;

export function fulfilmentStores(
  { call }: Scheduler,
  db: Database,
  { orderNow }: Pick<OrderStores, 'orderNow'>,
  restaurants: readonly Restaurant[],
) {
  const stock = db.table<number>('stock');
  const reservations = db.table<Reservation>('reservations');
  const payments = db.table<Payment>('payments');
  const tickets = db.table<Ticket>('tickets');
  const riders = db.table<Rider>('riders');
  const deliveries = db.table<Delivery>('deliveries');
  const messages = db.table<Notification>('messages');

  /** The port of a table with one row for each order. */
  function rowsOf<R extends { readonly orderId: OrderId }>(table: Table<R>) {
    return {
      find: (ids: readonly OrderId[]) =>
        call(`find ${table.name}`, () => byOrder(ids.flatMap((id) => db.get(table, id) ?? []))),
      lock: (tx: Transaction, ids: readonly OrderId[]) =>
        call(`lock ${table.name}`, async () => {
          const present = ids.filter((id) => db.get(table, id, sessionOf(tx)));
          await db.lock(sessionOf(tx), table, present);
          return byOrder(present.flatMap((id) => db.get(table, id, sessionOf(tx)) ?? []));
        }),
      save: (tx: Transaction, rows: readonly R[]) =>
        call(`save ${table.name}`, () => {
          for (const row of rows) db.put(sessionOf(tx), table, row.orderId, row);
        }),
    };
  }

  const inventory: Inventory = {
    reserve: (tx, requests) =>
      call('reserve', async () => {
        const session = sessionOf(tx);
        const fresh = new Map(
          requests
            .filter(({ orderId }) => !db.get(reservations, orderId, session))
            .map((r) => [r.orderId, r]),
        );
        const asked = [...fresh.values()];
        const items = asked.flatMap(({ lines }) => lines.map(({ itemId }) => itemId));
        await db.lock(session, stock, items);
        const before = new Map(items.map((id) => [id, db.get(stock, id, session) ?? 0]));
        const { shortages, left } = allot(
          before,
          asked.map(({ lines }) => lines),
        );
        for (const [itemId, count] of left) db.put(session, stock, itemId, count);
        const outcomes = asked.map(({ orderId, lines }, n): ReservationOutcome => {
          const missing = shortages[n] ?? [];
          return missing.length > 0
            ? { orderId, outcome: 'rejected', missing }
            : { orderId, outcome: 'reserved', lines: addUp(lines) };
        });
        for (const outcome of outcomes) {
          const lines = outcome.outcome === 'reserved' ? outcome.lines : [];
          const { orderId, outcome: state } = outcome;
          db.put(session, reservations, orderId, { orderId, state, lines });
        }
        return { outcomes, low: [] };
      }),
    release: (tx, orderIds) =>
      call('release', async () => {
        const session = sessionOf(tx);
        await db.lock(session, reservations, orderIds);
        const held = [...new Set(orderIds)].flatMap((id) => {
          const row = db.get(reservations, id, session);
          return row?.state === 'reserved' ? [row] : [];
        });
        const back = addUp(held.flatMap(({ lines }) => lines));
        await db.lock(
          session,
          stock,
          back.map(({ itemId }) => itemId),
        );
        for (const { itemId, quantity } of back)
          db.put(session, stock, itemId, (db.get(stock, itemId, session) ?? 0) + quantity);
        for (const row of held)
          db.put(session, reservations, row.orderId, { ...row, state: 'released' as const });
        return held.map(({ orderId, lines }) => ({ orderId, lines }));
      }),
  };

  const riderStore: Riders = {
    find: (ids) =>
      call('find riders', () => [...new Set(ids)].sort().flatMap((id) => db.get(riders, id) ?? [])),
    free: (_tx, _pickups, limit) =>
      call('free riders', () =>
        db
          .all(riders)
          .filter(({ isOnDuty, carrying, capacity }) => isOnDuty && carrying < capacity)
          .slice(0, limit),
      ),
    put: async (rider) => ({ ...rider, carrying: 0 }),
    move: async () => true,
    take: (tx, wanted, { regardless } = { regardless: false }) =>
      call('take riders', async () => {
        const session = sessionOf(tx);
        await db.lock(session, riders, [...wanted.keys()]);
        const taken = new Map<string, number>();
        for (const [id, count] of wanted) {
          const rider = db.get(riders, id, session);
          if (!rider) continue;
          const room = regardless ? count : Math.min(count, rider.capacity - rider.carrying);
          if (room <= 0 || !(regardless || rider.isOnDuty)) continue;
          taken.set(id, room);
          db.put(session, riders, id, { ...rider, carrying: rider.carrying + room });
        }
        return taken;
      }),
    release: (tx, ids) =>
      call('release riders', async () => {
        const session = sessionOf(tx);
        await db.lock(session, riders, ids);
        for (const id of ids) {
          const rider = db.get(riders, id, session);
          if (rider) db.put(session, riders, id, { ...rider, carrying: rider.carrying - 1 });
        }
      }),
  };

  const notifications: Notifications = {
    customers: (ids) =>
      call('find customers', () => {
        const found = ids.flatMap((id) => orderNow(id) ?? []).filter(({ customerId }) => customerId);
        return new Map(found.map(({ id, customerId }) => [id, { customerId: customerId as string }]));
      }),
    find: (ids, tx) =>
      call('find messages', () =>
        db
          .all(messages, tx && sessionOf(tx))
          .filter(({ orderId }) => ids.includes(orderId))
          .sort((a, b) => a.createdAt - b.createdAt),
      ),
    save: (tx, saved) =>
      call('save messages', () => {
        for (const message of saved) {
          const key = notificationKey(message);
          if (db.get(messages, key, sessionOf(tx))?.state !== 'SENT')
            db.put(sessionOf(tx), messages, key, message);
        }
      }),
  };

  /** The steps of each row count as in the view source on Postgres. */
  function viewOf(id: OrderId): OrderView[] {
    const order = orderNow(id);
    if (!order) return [];
    const payment = db.get(payments, id);
    const row = db.get(reservations, id);
    const reservation = row?.state === 'rejected' ? undefined : row?.state;
    const delivery = db.get(deliveries, id);
    const changes =
      order.version +
      (payment?.version ?? 0) +
      (reservation ? RESERVATION_STEPS[reservation] : 0) +
      (delivery ? DELIVERY_STEPS[delivery.state] : 0);
    return [
      {
        order,
        ...(delivery
          ? {
              delivery: {
                state: delivery.state,
                ...(delivery.riderId ? { riderId: delivery.riderId } : {}),
                ...(delivery.eta ? { eta: delivery.eta } : {}),
              },
            }
          : {}),
        ...(payment ? { payment: payment.state } : {}),
        ...(reservation ? { reservation } : {}),
        revision: [changes, delivery?.eta?.computedAt ?? 0],
      },
    ];
  }

  const viewSource: ViewSource = { read: (ids) => call('read views', () => ids.flatMap(viewOf)) };
  const ticketStore: Tickets = {
    ...rowsOf(tickets),
    listOpen: async (restaurantId) =>
      db
        .all(tickets)
        .filter((ticket) => ticket.restaurantId === restaurantId)
        .filter(({ state }) => state === 'OPEN' || state === 'ACCEPTED'),
  };
  const paymentStore: Payments = rowsOf(payments);
  const deliveryStore: Deliveries = {
    ...rowsOf(deliveries),
    ofRider: async (riderId) =>
      db
        .all(deliveries)
        .filter((delivery) => delivery.riderId === riderId)
        .filter(({ state }) => state === 'ASSIGNED' || state === 'PICKED_UP'),
  };
  return {
    inventory,
    payments: paymentStore,
    tickets: ticketStore,
    riders: riderStore,
    deliveries: deliveryStore,
    notifications,
    viewSource,
    catalogue: {
      look: async () => ({
        restaurants: new Map(restaurants.map((restaurant) => [restaurant.id, restaurant])),
        menuItems: new Map(),
        stocks: new Map(),
      }),
    },
    viewOf,
    /** For a broken inventory: adds stock that nobody had reserved. */
    stockOf: (session: Session) => ({
      add: (itemId: string, quantity: number) =>
        db.put(session, stock, itemId, (db.get(stock, itemId, session) ?? 0) + quantity),
    }),
    linesOf: (id: OrderId) => [...(orderNow(id)?.items ?? [])],
    /** Puts rows there before the run. */
    seed(items: Readonly<Record<string, number>>, onDuty: readonly Rider[]) {
      for (const [itemId, count] of Object.entries(items)) stock.rows.set(itemId, count);
      for (const rider of onDuty) riders.rows.set(rider.id, rider);
    },
    now: () => ({
      stock: stock.rows,
      reservations: db.all(reservations),
      payments: db.all(payments),
      deliveries: db.all(deliveries),
      riders: db.all(riders),
      tickets: db.all(tickets),
    }),
  };
}

const RESERVATION_STEPS = { reserved: 1, released: 2 } as const;
const DELIVERY_STEPS = { REQUESTED: 1, ASSIGNED: 2, PICKED_UP: 3, DELIVERED: 4, RELEASED: 4 } as const;

function byOrder<R extends { readonly orderId: OrderId }>(rows: readonly R[]): Map<OrderId, R> {
  return new Map(rows.map((row) => [row.orderId, row]));
}
