/** The order store on a real Postgres: placing in groups, idempotency, transactions, lists, constraints. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresOrderStore } from '../../../internal/repository/postgres/orders/order-store.ts';
import { postgresOrderSchedule } from '../../../internal/repository/postgres/scheduling/order-schedule.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import type { OrderStore, Placement } from '../../../internal/service/orders/ports.ts';
import type { StoredResponse, Transactions } from '../../../internal/service/ports.ts';
import type { OrderSchedule } from '../../../internal/service/scheduling/ports.ts';
import {
  after as afterEvents,
  CONTENTS,
  createdEvent,
  JOURNEYS,
  movedTo,
  placedOrder,
  type Step,
} from '../../support/builders.ts';
import { NOON } from '../../support/manual-clock.ts';
import { freshDatabase } from '../../support/servers.ts';

describe('the order store', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let orders: OrderStore;
  let orderSchedule: OrderSchedule;
  let transactions: Transactions;
  let wakes = 0;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 4, onError: () => {} });
    const onAppend = () => {
      wakes += 1;
    };
    orders = postgresOrderStore(pool, onAppend);
    orderSchedule = postgresOrderSchedule(pool);
    transactions = postgresTransactions(pool, onAppend);
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(async () => {
    await pool.query('TRUNCATE orders, events, idempotency_keys');
  });

  const answer: StoredResponse = {
    fingerprint: 'f',
    status: 201,
    headers: { Location: '/orders/x' },
    body: { id: 'x', price: 12.5 },
  };
  function placement(order: Order, options: { fingerprint?: string; key?: string } = {}): Placement {
    const { fingerprint = 'f', key } = options;
    const base = { order, event: createdEvent(order, randomUUID()), fingerprint };
    if (!key) return base;
    return {
      ...base,
      idempotency: {
        key: { principal: 'p', operation: 'place', key, fingerprint },
        answer: { ...answer, fingerprint },
      },
    };
  }
  const count = async (table: string) =>
    (await pool.query(`SELECT count(*)::int AS n FROM ${table}`)).rows[0].n;
  const found = async (id: string) => (await orders.find([id as OrderId]))[0];

  it('orders are stored with their events, and each order is read back unchanged', async () => {
    const placed = Object.values(CONTENTS).map((content) =>
      placedOrder({ content, scheduledAt: NOON + 1_234 }),
    );
    wakes = 0;
    const outcomes = await orders.place(placed.map((order) => placement(order)));
    assert.deepEqual(
      outcomes,
      placed.map(() => ({ outcome: 'placed' })),
    );
    for (const order of placed) assert.deepEqual(await found(order.id), order);
    assert.equal(await count('events'), placed.length);
    assert.equal(wakes, 1, 'readers are woken once for a group');
  });

  it('a group stores nothing if one of its orders violates a constraint', async () => {
    const wrong = { ...placedOrder(), version: 2 };
    await assert.rejects(orders.place([placement(placedOrder()), placement(wrong)]), /orders_check/);
    assert.equal(await count('orders'), 0);
    assert.equal(await count('events'), 0);
  });

  it('constraints refuse a timeline with a gap, an unknown status, and a failure without a reason', async () => {
    const order = placedOrder();
    await orders.place([placement(order)]);
    const save = (changed: object) =>
      transactions.run((tx) => tx.saveOrders([{ ...order, ...changed } as Order]));
    await assert.rejects(save({ version: 2 }), /orders_check/);
    await assert.rejects(save({ status: 'LOST' }), /orders_status_check/);
    await assert.rejects(save({ status: 'FAILED' }), /orders_check/);
    assert.deepEqual(await found(order.id), order);
  });

  it('a lost connection is reported as UNAVAILABLE, and the next query uses another connection', async () => {
    await assert.rejects(
      transactions.run(async (tx) => {
        await pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'`);
        await tx.lockOrders(['x' as OrderId]);
      }),
      { code: 'UNAVAILABLE' },
    );
    assert.deepEqual(await orders.find([]), []);
  });

  it('the orders in flight are streamed, each once and complete, without orders that wait or have ended', async () => {
    const steps = JOURNEYS.everything.slice(1) as Step[];
    // More orders than fit on a page, with three creation times, so that a page ends between equal times.
    const many = Array.from({ length: 2_105 }, (_, n) => placedOrder({ at: NOON + (n % 3) }));
    const others = steps.map(() => placedOrder({ content: CONTENTS.everything }));
    const [waits, completed, failed, cancelled] = [
      placedOrder(),
      placedOrder(),
      placedOrder(),
      placedOrder(),
    ];
    const started = many.map((order) => movedTo(order, 'PROCESSING'));
    const moved = others.map((order, n) => movedTo(order, ...steps.slice(0, n + 1)));
    await orders.place(
      [...many, ...others, waits, completed, failed, cancelled].map((order) => placement(order)),
    );
    await transactions.run((tx) =>
      tx.saveOrders([
        ...started,
        ...moved,
        movedTo(completed, 'PROCESSING', 'COMPLETED'),
        afterEvents(failed, { type: 'failed', at: NOON, reason: 'NO_STOCK' }),
        afterEvents(cancelled, { type: 'cancelled', at: NOON }),
      ]),
    );
    const found: Order[] = [];
    for await (const page of orderSchedule.inFlight()) {
      found.push(...page);
      assert.ok(page.length <= 1_000, 'pages are bounded');
    }
    const byId = (some: readonly Order[]) => [...some].sort((a, b) => (a.id < b.id ? -1 : 1));
    const expected = [...started, ...moved.filter(({ status }) => status !== 'DELIVERED')];
    assert.deepEqual(byId(found), byId(expected));
  });

  it('a cancelled order is stored with its reason', async () => {
    const order = placedOrder();
    await orders.place([placement(order)]);
    const cancelled = afterEvents(order, { type: 'cancelled', at: NOON, reason: 'changed my mind' });
    await transactions.run((tx) => tx.saveOrders([cancelled]));
    assert.deepEqual(await found(order.id), cancelled);
  });
});
