/** The delivery-service for tests, on a real Postgres, with a check of how many orders each rider carries. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { fact } from '../../internal/domain/announce.ts';
import type { Event, EventType, Payload } from '../../internal/domain/events.ts';
import type { Order, OrderId, OrderStatus } from '../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { postgresDeliveries } from '../../internal/repository/postgres/delivery/deliveries.ts';
import { postgresRiders } from '../../internal/repository/postgres/delivery/riders.ts';
import { postgresOrderStore } from '../../internal/repository/postgres/orders/order-store.ts';
import { postgresTimers } from '../../internal/repository/postgres/scheduling/timers.ts';
import { postgresDeadLetters } from '../../internal/repository/postgres/stream/dead-letters.ts';
import { postgresTransactions } from '../../internal/repository/postgres/transactions.ts';
import { postgresViewSource } from '../../internal/repository/postgres/views/view-source.ts';
import { assignmentsConsumer } from '../../internal/service/delivery/accept-assignments.ts';
import { matchConsumer, requestConsumer } from '../../internal/service/delivery/assign-rider.ts';
import { readyConsumer } from '../../internal/service/delivery/note-ready.ts';
import { etaConsumer } from '../../internal/service/delivery/refresh-eta.ts';
import { releaseConsumer, trackDelivery } from '../../internal/service/delivery/track-delivery.ts';
import type { Restaurant } from '../../internal/service/inventory/ports.ts';
import { changeOrder } from '../../internal/service/orders/change-order.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import type { Delivery } from '../../internal/service/stream/ports.ts';
import { viewsConsumer } from '../../internal/service/views/project-views.ts';
import { CONTENTS, createdEvent, orderAt, placedOrder } from './builders.ts';
import { deliveryOf } from './in-memory-bus.ts';
import { memoryQueue } from './in-memory-queue.ts';
import { memoryViews } from './in-memory-views.ts';
import { manualClock } from './manual-clock.ts';
import { recordingLog, recordingMeter } from './recording-log.ts';
import { freshDatabase } from './servers.ts';

const RESTAURANT: Restaurant = {
  id: 'r1',
  name: 'Tardeo Tiffins',
  isActive: true,
  acceptance: 'automatic',
  address: '1 Tardeo Road',
  location: { latitude: 18.97, longitude: 72.81 },
  preparationS: 900,
};
export const PICKUP = [18.97, 72.81] as const;
export const RULES = {
  defaultDistanceM: 3_000,
  detourFactor: 1,
  speedMps: 5,
  handoverMs: 60_000,
  loadPenaltyM: 1_500,
};
export const ETA_REFRESH_MS = 30_000;

export type RiderTown = Awaited<ReturnType<typeof riderTown>>;

export async function riderTown() {
  const database = await freshDatabase();
  await migrateDatabase(database.url);
  const pool: pg.Pool = openPool(database.url, { max: 8, onError: () => {} });
  const clock = manualClock();
  const log = recordingLog();
  const deps = {
    orders: postgresOrderStore(pool, () => {}),
    transactions: postgresTransactions(pool, () => {}),
    deadLetters: postgresDeadLetters(pool),
    riders: postgresRiders(pool),
    deliveries: postgresDeliveries(pool),
    timers: postgresTimers(pool),
    catalogue: {
      look: async () => ({
        restaurants: new Map([['r1', RESTAURANT]]),
        menuItems: new Map(),
        stocks: new Map(),
      }),
    },
    queue: memoryQueue(clock),
    meter: recordingMeter(),
    newEventId: () => randomUUID(),
    eventIdFor: (name: string) => `derived from ${name}`,
    rules: RULES,
    etaRefreshMs: ETA_REFRESH_MS,
    ...{ clock, log },
  };
  const subscriptions = [
    requestConsumer(deps),
    matchConsumer(deps),
    etaConsumer(deps),
    readyConsumer(deps),
    releaseConsumer(deps),
  ].map((consumer) => subscriptionOf(deps, consumer));
  const live = memoryViews();
  const viewSource = postgresViewSource(pool);
  const projection = subscriptionOf(deps, viewsConsumer({ viewSource, views: live.views }));
  let projected = 0;
  const fromOutside = subscriptionOf(deps, assignmentsConsumer(deps));
  const settle = async () => {};

  return {
    ...deps,
    pool,
    async close() {
      await pool.end();
      await database.drop();
    },
    clear: () => {
      live.stored.clear();
      return pool.query(
        'TRUNCATE orders, events, deliveries, riders, timers, processed_events, dead_letters, idempotency_keys',
      );
    },
    /** Stores orders in this status; by default, a restaurant prepares them and a rider delivers them. */
    async seed(status: OrderStatus, ids: readonly string[], kind: 'everything' | 'delivery' = 'everything') {
      const orders = ids.map((id): Order => ({ ...orderAt(status, kind), id: id as OrderId }));
      await deps.orders.place(
        orders.map((order) => ({
          order: placedOrder({ content: { ...CONTENTS[kind], id: order.id } }),
          event: createdEvent(order, randomUUID()),
          fingerprint: 'f',
        })),
      );
      await deps.transactions.run((tx) => tx.saveOrders(orders));
    },
    rider: (id: string, changes: Partial<Parameters<typeof deps.riders.put>[0]> = {}) =>
      deps.riders.put({ id, name: id, isOnDuty: true, capacity: 2, place: PICKUP, ...changes }, clock.now()),
    /** Delivers the events, in one batch, to every consumer that subscribes to them. */
    async deliver(...events: Event[]) {
      for (const { types, handle } of subscriptions) {
        const taken = events.filter(({ eventType }) => types.includes(eventType));
        if (taken.length > 0) await handle({ deliveries: taken.map((event) => deliveryOf(event)), settle });
      }
    },
    /** Delivers a record of rider_assigned. */
    heard: (record: unknown, position: string = randomUUID()) => {
      const delivery: Delivery = { topic: 'rider_assigned', key: '', position, record };
      return fromOutside.handle({ deliveries: [delivery], settle });
    },
    requested: (id: string) =>
      happened('rider.requested', id, {
        pickupLocation: { restaurantId: 'r1', address: RESTAURANT.address },
      }),
    ranOut: (kind: 'rider' | 'eta', id: string) =>
      happened(`timer.${kind}`, id, { dueAt: new Date(clock.now()).toISOString() }),
    happened,
    report: (riderId: string, orderId: string, status: 'PICKED_UP' | 'DELIVERED', at = clock.now()) =>
      trackDelivery(deps, { riderId, orderId: orderId as OrderId, status, at }),
    cancel: (id: string) =>
      changeOrder(deps, {
        id: id as OrderId,
        commands: () => [{ type: 'cancel' }],
        origin: { producer: 'test' },
      }),
    /** Advances an order as an operator's request does. */
    advance: (id: string, to: 'OUT_FOR_DELIVERY' | 'DELIVERED') =>
      changeOrder(deps, {
        id: id as OrderId,
        commands: () => [{ type: 'advance', to, by: 'request' }],
        origin: { producer: 'test' },
      }),
    async delivery(id: string) {
      return (await deps.deliveries.find([id as OrderId])).get(id as OrderId);
    },
    async status(id: string) {
      return (await deps.orders.find([id as OrderId]))[0]?.status;
    },
    /** The types of all events except order.created, in log order; with an id, only those of that order. */
    async announced(id?: string): Promise<string[]> {
      const { rows } = await pool.query(
        `SELECT event_type FROM events WHERE event_type <> 'order.created' AND ($1::text IS NULL OR order_id = $1) ORDER BY position`,
        [id ?? null],
      );
      return rows.map((row) => row.event_type);
    },
    async events(): Promise<Event[]> {
      const { rows } = await pool.query('SELECT record FROM events ORDER BY position');
      return rows.map((row) => row.record);
    },
    /** Projects the orders of events that are new; no transaction may be open meanwhile. */
    async project() {
      const { rows } = await pool.query(
        'SELECT position, record FROM events WHERE position > $1 ORDER BY position',
        [projected],
      );
      projected = rows.at(-1)?.position ?? projected;
      const taken = rows
        .map(({ record }): Event => record)
        .filter(({ eventType }) => projection.types.includes(eventType));
      await projection.handle({ deliveries: taken.map((event) => deliveryOf(event)), settle });
    },
    /** Asserts that each view that was projected is as one that is built anew. */
    async assertViewsAreCurrent() {
      const built = await viewSource.read([...live.stored.keys()]);
      assert.deepEqual(
        [...live.stored],
        [...live.stored.keys()].map((id) => [id, built.find(({ order }) => order.id === id)]),
      );
    },
    async timersSet(): Promise<string[]> {
      const { rows } = await pool.query('SELECT order_id, kind, due_at FROM timers ORDER BY order_id, kind');
      return rows.map(
        (row) => `${row.order_id} ${row.kind} +${(row.due_at.getTime() - clock.now()) / 1_000}`,
      );
    },
    async carrying(): Promise<Record<string, number>> {
      const { rows } = await pool.query('SELECT rider_id, carrying FROM riders ORDER BY rider_id');
      return Object.fromEntries(rows.map((row) => [row.rider_id, row.carrying]));
    },
    /** Asserts that `carrying` of each rider is the number of the rider's deliveries in progress. */
    async assertBooksAddUp() {
      const { rows } = await pool.query(
        `SELECT r.rider_id, r.carrying, count(d.order_id)::int AS deliveries
         FROM riders r LEFT JOIN deliveries d ON d.rider_id = r.rider_id AND d.state IN ('ASSIGNED', 'PICKED_UP')
         GROUP BY 1, 2 HAVING r.carrying <> count(d.order_id)`,
      );
      assert.deepEqual(rows, []);
    },
  };
}

function happened<T extends EventType>(type: T, id: string, payload: Payload<T>): Event {
  const about = { eventId: randomUUID(), at: manualClock().now(), producer: 'test' };
  return fact(type, id, payload, about) as Event;
}
