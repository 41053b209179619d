/** The inventory-service for tests, on a real Postgres, with a check that no stock is lost. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { fact } from '../../internal/domain/announce.ts';
import type { Event, EventType, Payload } from '../../internal/domain/events.ts';
import type { Line } from '../../internal/domain/inventory.ts';
import type { Order, OrderId, OrderStatus } from '../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { postgresCatalogue } from '../../internal/repository/postgres/inventory/catalogue.ts';
import { postgresInventory } from '../../internal/repository/postgres/inventory/stock.ts';
import { postgresOrderStore } from '../../internal/repository/postgres/orders/order-store.ts';
import { postgresDeadLetters } from '../../internal/repository/postgres/stream/dead-letters.ts';
import { postgresTransactions } from '../../internal/repository/postgres/transactions.ts';
import type { Inventory } from '../../internal/service/inventory/ports.ts';
import { releaseConsumer, reserveConsumer } from '../../internal/service/inventory/reserve-inventory.ts';
import { changeOrder } from '../../internal/service/orders/change-order.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import { createdEvent, orderAt, placedOrder } from './builders.ts';
import { deliveryOf } from './in-memory-bus.ts';
import { manualClock } from './manual-clock.ts';
import { recordingLog, recordingMeter } from './recording-log.ts';
import { freshDatabase } from './servers.ts';

export const CONNECTIONS = 12;

export type Stockroom = Awaited<ReturnType<typeof stockroom>>;

export async function stockroom() {
  const database = await freshDatabase();
  await migrateDatabase(database.url);
  const pool: pg.Pool = openPool(database.url, { max: CONNECTIONS, onError: () => {} });
  const clock = manualClock();
  const log = recordingLog();
  const deps = {
    orders: postgresOrderStore(pool, () => {}),
    transactions: postgresTransactions(pool, () => {}),
    deadLetters: postgresDeadLetters(pool),
    inventory: postgresInventory(),
    catalogue: postgresCatalogue(pool),
    meter: recordingMeter(),
    newEventId: () => randomUUID(),
    ...{ clock, log },
  };
  const handlersOf = (inventory: Inventory) =>
    [reserveConsumer({ ...deps, inventory }), releaseConsumer({ ...deps, inventory })].map((consumer) =>
      subscriptionOf(deps, consumer),
    );
  const usual = handlersOf(deps.inventory);

  async function deliverTo(subscriptions: typeof usual, events: readonly Event[]): Promise<void> {
    for (const { types, handle } of subscriptions) {
      const taken = events.filter(({ eventType }) => types.includes(eventType));
      if (taken.length > 0)
        await handle({ deliveries: taken.map((event) => deliveryOf(event)), settle: async () => {} });
    }
  }

  return {
    ...deps,
    pool,
    async close() {
      await pool.end();
      await database.drop();
    },
    clear: () =>
      pool.query(
        'TRUNCATE orders, events, restaurants, menu_items, inventory_items, reservations, riders, processed_events, dead_letters, idempotency_keys',
      ),
    /** Adds stock of items that are on no menu. */
    stock: (counts: Record<string, number>, threshold = 0) =>
      pool.query(
        'INSERT INTO inventory_items SELECT i, c, $3 FROM unnest($1::text[], $2::int[]) AS n(i, c)',
        [Object.keys(counts), Object.values(counts), threshold],
      ),
    /** Stores orders in this status, each with these lines. */
    async seed(ids: readonly string[], items: readonly Line[], status: OrderStatus = 'PROCESSING') {
      const orders = ids.map((id): Order => ({ ...orderAt(status, 'items'), id: id as OrderId, items }));
      await deps.orders.place(
        orders.map((order) => ({
          order: placedOrder({ content: { items, id: order.id } }),
          event: createdEvent(order, randomUUID()),
          fingerprint: 'f',
        })),
      );
      await deps.transactions.run((tx) => tx.saveOrders(orders));
    },
    /** Delivers the events, in one batch, to both consumers. */
    deliver: (...events: Event[]) => deliverTo(usual, events),
    /** Like `deliver`, with some methods of the inventory replaced. */
    deliverWith: (inventory: Partial<Inventory>, ...events: Event[]) =>
      deliverTo(handlersOf({ ...deps.inventory, ...inventory }), events),
    processing: (id: string) => happened('order.processing', id, { status: 'PROCESSING', version: 2 }),
    cancelled: (id: string) => happened('order.cancelled', id, { status: 'CANCELLED', version: 9 }),
    failed: (id: string) =>
      happened('order.failed', id, { status: 'FAILED', version: 9, reason: 'NO_RIDER' }),
    cancel: (id: string) =>
      changeOrder(deps, {
        id: id as OrderId,
        commands: () => [{ type: 'cancel' }],
        origin: { producer: 'test' },
      }),
    /** Calls the port directly, in a transaction of its own. */
    reserve: (...requests: (readonly [id: string, ...lines: Line[]])[]) =>
      deps.transactions.run((tx) =>
        deps.inventory.reserve(
          tx,
          requests.map(([id, ...lines]) => ({ orderId: id as OrderId, lines })),
        ),
      ),
    release: (...ids: string[]) =>
      deps.transactions.run((tx) => deps.inventory.release(tx, ids as OrderId[])),
    async shelf(): Promise<Record<string, number>> {
      const { rows } = await pool.query('SELECT item_id, stock_count FROM inventory_items ORDER BY item_id');
      return Object.fromEntries(rows.map((row) => [row.item_id, row.stock_count]));
    },
    async reservations(): Promise<Record<string, string>> {
      const { rows } = await pool.query('SELECT order_id, state FROM reservations ORDER BY order_id');
      return Object.fromEntries(rows.map((row) => [row.order_id, row.state]));
    },
    /** The inventory events, in the order of the log. */
    async announced(): Promise<Event[]> {
      const { rows } = await pool.query(
        `SELECT record FROM events WHERE event_type LIKE 'inventory.%' ORDER BY position`,
      );
      return rows.map((row) => row.record);
    },
    /** Asserts that the stock and the reserved quantity of each item add up to its initial stock. */
    async assertNothingLost(initial: Record<string, number>) {
      const { rows } = await pool.query(
        `SELECT i.item_id, stock_count + coalesce(sum((line->>'quantity')::int), 0)::int AS total
         FROM inventory_items i LEFT JOIN (SELECT jsonb_array_elements(lines) AS line FROM reservations WHERE state = 'reserved') r
           ON line->>'itemId' = i.item_id GROUP BY 1, stock_count ORDER BY 1`,
      );
      assert.deepEqual(Object.fromEntries(rows.map((row) => [row.item_id, row.total])), initial);
    },
  };
}

function happened<T extends EventType>(type: T, id: string, payload: Payload<T>): Event {
  const traceparent = `00-${randomUUID().replaceAll('-', '')}-00f067aa0ba902b7-01`;
  const about = { eventId: randomUUID(), at: manualClock().now(), producer: 'test', traceparent };
  return fact(type, id, payload, about) as Event;
}
