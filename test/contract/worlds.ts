/** The stores on each of their servers, for the contract suites: on Postgres, and in the simulation. */
import type pg from 'pg';
import type { Order, OrderId } from '../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { postgresDeliveries } from '../../internal/repository/postgres/delivery/deliveries.ts';
import { postgresRiders } from '../../internal/repository/postgres/delivery/riders.ts';
import { postgresInventory } from '../../internal/repository/postgres/inventory/stock.ts';
import { postgresNotifications } from '../../internal/repository/postgres/notifications/notifications.ts';
import { postgresOrderStore } from '../../internal/repository/postgres/orders/order-store.ts';
import { postgresPayments } from '../../internal/repository/postgres/payments/payments.ts';
import { postgresTickets } from '../../internal/repository/postgres/restaurants/tickets.ts';
import { postgresOrderSchedule } from '../../internal/repository/postgres/scheduling/order-schedule.ts';
import { postgresSchedulerSwitch } from '../../internal/repository/postgres/scheduling/scheduler-switch.ts';
import { postgresTimers } from '../../internal/repository/postgres/scheduling/timers.ts';
import { postgresDeadLetters } from '../../internal/repository/postgres/stream/dead-letters.ts';
import { postgresEventLog } from '../../internal/repository/postgres/stream/event-log.ts';
import { postgresTransactions } from '../../internal/repository/postgres/transactions.ts';
import { postgresViewSource } from '../../internal/repository/postgres/views/view-source.ts';
import type { Deliveries, Riders } from '../../internal/service/delivery/ports.ts';
import type { Inventory } from '../../internal/service/inventory/ports.ts';
import type { Notifications } from '../../internal/service/notifications/ports.ts';
import type { OrderStore } from '../../internal/service/orders/ports.ts';
import type { Payments } from '../../internal/service/payments/ports.ts';
import type { Transactions } from '../../internal/service/ports.ts';
import type { Tickets } from '../../internal/service/restaurants/ports.ts';
import type { OrderSchedule, SchedulerSwitch, Timers } from '../../internal/service/scheduling/ports.ts';
import type { DeadLetters, EventLog } from '../../internal/service/stream/ports.ts';
import type { ViewSource } from '../../internal/service/views/ports.ts';
import { database } from '../simulation/database.ts';
import { fulfilmentStores } from '../simulation/fulfilment-stores.ts';
import { orderStores } from '../simulation/order-stores.ts';
import { type Process, type Scheduler, scheduler } from '../simulation/scheduler.ts';
import { simulatedLog } from '../simulation/streams.ts';
import { createdEvent, nextId } from '../support/builders.ts';
import { recordingLog } from '../support/recording-log.ts';
import { freshDatabase } from '../support/servers.ts';

export interface Stores {
  readonly transactions: Transactions;
  readonly orders: OrderStore;
  readonly orderSchedule: OrderSchedule;
  readonly timers: Timers;
  readonly deadLetters: Pick<DeadLetters, 'screen'>;
  readonly schedulerSwitch: SchedulerSwitch;
  readonly inventory: Inventory;
  readonly payments: Payments;
  readonly tickets: Tickets;
  readonly riders: Riders;
  readonly deliveries: Deliveries;
  readonly notifications: Notifications;
  readonly viewSource: ViewSource;
  /** The log as two processes see it. */
  readonly logs: readonly [EventLog, EventLog];
  /** Long enough for what does not wait for a lock to end. */
  readonly moment: () => Promise<void>;
  /** Puts items into stock. */
  readonly stock: (counts: Readonly<Record<string, number>>, threshold?: number) => Promise<void>;
  readonly shelf: () => Promise<Record<string, number>>;
}

/** Runs a test on empty stores. */
export type World = <T>(test: (stores: Stores) => Promise<T>) => Promise<T>;

/** Stores orders as they are, and an event for each. */
export async function seed({ orders, transactions }: Stores, ...some: readonly Order[]): Promise<void> {
  await orders.place(
    some.map((order) => ({ order, event: createdEvent(order, nextId('event')), fingerprint: 'f' })),
  );
  await transactions.run((tx) => tx.saveOrders(some));
}

/** Whether work that was begun has ended after a moment, or waits. */
export async function hasEnded(stores: Stores, work: Promise<unknown>): Promise<boolean> {
  const ended = work.then(
    () => true,
    () => true,
  );
  return Promise.race([ended, stores.moment().then(() => false)]);
}

export const id = (name: string) => name as OrderId;

export function simulatedWorld(): World {
  let seeds = 0;
  return async <T>(test: (stores: Stores) => Promise<T>) => {
    seeds += 1;
    const simulation = scheduler(seeds, { at: new Map() });
    const db = database(simulation);
    const own = orderStores(simulation, db);
    const fulfilment = fulfilmentStores(simulation, db, own, []);
    const log = simulatedLog(simulation, db, own);
    const [here, there] = [simulation.process('here'), simulation.process('there')];
    const elsewhere = between(simulation, here, there);
    const { lead, resign, read } = log;
    const stores: Stores = {
      ...own,
      ...fulfilment,
      logs: [log, { ...log, lead: elsewhere(lead), resign: elsewhere(resign), read: elsewhere(read) }],
      moment: () => simulation.sleep(1_000),
      stock: async (counts, threshold) => fulfilment.seed(counts, [], threshold),
      shelf: async () => Object.fromEntries([...fulfilment.now().stock].sort(([a], [b]) => (a < b ? -1 : 1))),
    };

    return within(simulation, here, () => test(stores));
  };
}

/** Makes functions that run in one process of a simulation and are awaited in another. */
export function between(simulation: Scheduler, here: Process, there: Process) {
  return <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    (...args: A) =>
      new Promise<R>((resolve, reject) => {
        const home = (tell: () => void) => simulation.later(here, 0, tell);
        simulation.later(there, 0, () => {
          work(...args).then(
            (result) => home(() => resolve(result)),
            (error) => home(() => reject(error)),
          );
        });
      });
}

/** Runs work as a process of a simulation, until it has ended. */
export async function within<T>(simulation: Scheduler, process: Process, work: () => Promise<T>): Promise<T> {
  let ended: { result: T } | { error: unknown } | undefined;
  simulation.later(process, 0, () => {
    work().then(
      (result) => {
        ended = { result };
      },
      (error) => {
        ended = { error };
      },
    );
  });
  await simulation.run(() => ended !== undefined);
  if (!ended) throw new Error('the test waits for what never happens');
  if ('error' in ended) throw ended.error;
  return ended.result;
}

const TABLES = `orders, events, consumer_cursors, processed_events, dead_letters, idempotency_keys, timers,
  inventory_items, reservations, payments, tickets, riders, deliveries, notifications`;

/** `before` and `after` are hooks for the tests that use the world. */
export function postgresWorld(): { world: World; before(): Promise<void>; after(): Promise<void> } {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  return {
    async before() {
      database = await freshDatabase();
      await migrateDatabase(database.url);
      pool = openPool(database.url, { max: 12, onError: () => {} });
    },
    async after() {
      await pool.end();
      await database.drop();
    },
    async world(test) {
      await pool.query(`TRUNCATE ${TABLES}`);
      const opened = () => postgresEventLog(pool, database.url, recordingLog());
      const logs = [opened(), opened()] as const;
      const wake = () => {
        for (const log of logs) log.signal();
      };
      try {
        return await test({
          transactions: postgresTransactions(pool, wake),
          orders: postgresOrderStore(pool, wake),
          orderSchedule: postgresOrderSchedule(pool),
          timers: postgresTimers(pool),
          deadLetters: postgresDeadLetters(pool),
          schedulerSwitch: postgresSchedulerSwitch(pool),
          inventory: postgresInventory(),
          payments: postgresPayments(pool),
          tickets: postgresTickets(pool),
          riders: postgresRiders(pool),
          deliveries: postgresDeliveries(pool),
          notifications: postgresNotifications(pool),
          viewSource: postgresViewSource(pool),
          logs,
          moment: () => new Promise((resolve) => void setTimeout(resolve, 150)),
          async stock(counts, threshold = 0) {
            await pool.query(
              'INSERT INTO inventory_items SELECT i, c, $3 FROM unnest($1::text[], $2::int[]) AS n(i, c)',
              [Object.keys(counts), Object.values(counts), threshold],
            );
          },
          async shelf() {
            const { rows } = await pool.query(
              'SELECT item_id, stock_count FROM inventory_items ORDER BY item_id',
            );
            return Object.fromEntries(rows.map((row) => [row.item_id, row.stock_count]));
          },
        });
      } finally {
        await Promise.all(logs.map((log) => log.close()));
      }
    },
  };
}
