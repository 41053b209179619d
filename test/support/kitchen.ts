/** The restaurant-service for tests, on a real Postgres; restaurants accept manually or automatically. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { fact } from '../../internal/domain/announce.ts';
import type { Event, EventType, Payload } from '../../internal/domain/events.ts';
import type { Order, OrderId, OrderStatus } from '../../internal/domain/order.ts';
import type { OrderCommand } from '../../internal/domain/order-decisions.ts';
import { migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { postgresCatalogue } from '../../internal/repository/postgres/inventory/catalogue.ts';
import { postgresOrderStore } from '../../internal/repository/postgres/orders/order-store.ts';
import { postgresTickets } from '../../internal/repository/postgres/restaurants/tickets.ts';
import { postgresDeadLetters } from '../../internal/repository/postgres/stream/dead-letters.ts';
import { postgresTransactions } from '../../internal/repository/postgres/transactions.ts';
import { changeOrder } from '../../internal/service/orders/change-order.ts';
import {
  type AnswerDeps,
  answerTicket,
  externalAnswersConsumer,
  type TicketAnswer,
} from '../../internal/service/restaurants/answer-ticket.ts';
import { followConsumer, openConsumer } from '../../internal/service/restaurants/keep-tickets.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import type { AnyConsumer } from '../../internal/service/stream/consumer.ts';
import type { Delivery } from '../../internal/service/stream/ports.ts';
import { CONTENTS, changedEvent, createdEvent, type Kind, orderAt, placedOrder } from './builders.ts';
import { deliveryOf } from './in-memory-bus.ts';
import { manualClock } from './manual-clock.ts';
import { recordingLog, recordingMeter } from './recording-log.ts';
import { freshDatabase } from './servers.ts';

/** Connections in the pool. */
export const POOL = 6;
export const PREPARATION_MS = 900_000;

export type Kitchen = Awaited<ReturnType<typeof kitchen>>;

export async function kitchen() {
  const database = await freshDatabase();
  await migrateDatabase(database.url);
  const pool: pg.Pool = openPool(database.url, { max: POOL, onError: () => {} });
  const clock = manualClock();
  const log = recordingLog();
  const deps = {
    orders: postgresOrderStore(pool, () => {}),
    transactions: postgresTransactions(pool, () => {}),
    deadLetters: postgresDeadLetters(pool),
    tickets: postgresTickets(pool),
    catalogue: postgresCatalogue(pool),
    meter: recordingMeter(),
    newEventId: () => randomUUID(),
    eventIdFor: (name: string) => `derived from ${name}`,
    ...{ clock, log },
  };
  const usual = [openConsumer(deps), followConsumer(deps)];
  const settle = async () => {};

  async function deliverTo(consumers: readonly AnyConsumer[], events: readonly Event[]): Promise<void> {
    for (const { types, handle } of consumers.map((consumer) => subscriptionOf(deps, consumer))) {
      const taken = events.filter(({ eventType }) => types.includes(eventType));
      if (taken.length > 0) await handle({ deliveries: taken.map((event) => deliveryOf(event)), settle });
    }
  }

  async function events(): Promise<Event[]> {
    const { rows } = await pool.query(
      `SELECT record FROM events WHERE event_type <> 'order.created' AND topic IS NULL ORDER BY position`,
    );
    return rows.map((row) => row.record);
  }

  return {
    ...deps,
    pool,
    async close() {
      await pool.end();
      await database.drop();
    },
    async clear() {
      await pool.query(
        'TRUNCATE orders, events, tickets, restaurants, menu_items, processed_events, dead_letters, idempotency_keys',
      );
      const about = { isActive: true, address: '1 Tardeo Road', preparationS: PREPARATION_MS / 1_000 };
      await deps.catalogue.addRestaurant({ id: 'r1', name: 'Asks', acceptance: 'manual', ...about });
      await deps.catalogue.addRestaurant({ id: 'auto', name: 'Takes', acceptance: 'automatic', ...about });
    },
    /** Stores orders in this status; by default, restaurant r1 prepares them and a rider delivers them. */
    async seed(
      status: OrderStatus,
      ids: readonly string[],
      { kind = 'everything' as Kind, restaurantId = undefined as string | undefined, changes = {} } = {},
    ) {
      const more = { ...(restaurantId ? { restaurantId } : {}), ...changes };
      const orders = ids.map((id): Order => ({ ...orderAt(status, kind), ...more, id: id as OrderId }));
      await deps.orders.place(
        orders.map((order) => ({
          order: placedOrder({ content: { ...CONTENTS[kind], ...more, id: order.id } }),
          event: createdEvent(order, randomUUID()),
          fingerprint: 'f',
        })),
      );
      await deps.transactions.run((tx) => tx.saveOrders(orders));
    },
    /** Delivers the events, in one batch, to both consumers of order events. */
    deliver: (...all: Event[]) => deliverTo(usual, all),
    /** Delivers the events of the log to both consumers, until no new events follow. */
    async deliverAll() {
      for (let from = 0; ; ) {
        const fresh = (await events()).slice(from);
        if (fresh.length === 0) return;
        from += fresh.length;
        await deliverTo(usual, fresh);
      }
    },
    /** Delivers records of order_accepted in one batch; `at` are their positions on the topic. */
    heard(records: readonly unknown[], at = records.map(() => randomUUID() as string), changes = {}) {
      const deliveries = records.map(
        (record, n): Delivery => ({ topic: 'order_accepted', key: '', position: at[n] as string, record }),
      );
      return subscriptionOf(deps, externalAnswersConsumer({ ...deps, ...changes })).handle({
        deliveries,
        settle,
      });
    },
    /** The event of an order's current status. */
    async told(id: string): Promise<Event> {
      const [order] = await deps.orders.find([id as OrderId]);
      return { ...changedEvent(order as Order), eventId: randomUUID() };
    },
    happened<T extends EventType>(type: T, id: string, payload: Payload<T>): Event {
      return fact(type, id, payload, { eventId: randomUUID(), at: clock.now(), producer: 'test' }) as Event;
    },
    answer: (
      id: string,
      answer: TicketAnswer['answer'] = { type: 'accept' },
      more: Partial<TicketAnswer> = {},
      changes: Partial<AnswerDeps> = {},
    ) =>
      answerTicket({ ...deps, ...changes }, { restaurantId: 'r1', orderId: id as OrderId, answer, ...more }),
    command: (id: string, ...commands: OrderCommand[]) =>
      changeOrder(deps, { id: id as OrderId, commands: () => commands, origin: { producer: 'test' } }),
    async status(id: string) {
      return (await deps.orders.find([id as OrderId]))[0]?.status;
    },
    async ticket(id: string) {
      return deps.transactions.run(async (tx) =>
        (await deps.tickets.lock(tx, [id as OrderId])).get(id as OrderId),
      );
    },
    events,
    /** The types of all events except order.created, in the order of the log. */
    announced: async () => (await events()).map(({ eventType }) => eventType),
    async letters(): Promise<string[]> {
      const { rows } = await pool.query('SELECT error FROM dead_letters ORDER BY id');
      return rows.map((row) => row.error);
    },
    /** All rows that a refused answer must not change. */
    async everything() {
      const rows = async (text: string) => (await pool.query(text)).rows;
      return {
        orders: await rows('SELECT * FROM orders ORDER BY order_id'),
        tickets: await rows('SELECT * FROM tickets ORDER BY order_id'),
        events: await rows('SELECT * FROM events ORDER BY position'),
        answers: await rows('SELECT * FROM idempotency_keys ORDER BY key'),
      };
    },
  };
}
