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
import type { OrderSchedule, Waiting } from '../../../internal/service/scheduling/ports.ts';
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

  it('of two orders with the same id only the first is stored, in one group or in two', async () => {
    const first = placedOrder({ content: { id: 'twin', customerName: 'first' } });
    const second = placedOrder({ content: { id: 'twin', customerName: 'second' } });
    const other = placedOrder();
    const outcomes = await orders.place([
      placement(first),
      placement(second, { fingerprint: 'g' }),
      placement(other),
    ]);
    assert.deepEqual(outcomes, [
      { outcome: 'placed' },
      { outcome: 'id-taken', order: first, fingerprint: 'f' },
      { outcome: 'placed' },
    ]);
    assert.deepEqual(await orders.place([placement(second)]), [
      { outcome: 'id-taken', order: first, fingerprint: 'f' },
    ]);
    assert.equal(await count('events'), 2, 'each stored order has one event');
  });

  it('a repeated idempotency key gets the stored response and places no second order, in one group or in two', async () => {
    const [first, again, later] = [placedOrder(), placedOrder(), placedOrder()];
    const outcomes = await orders.place([placement(first, { key: 'k' }), placement(again, { key: 'k' })]);
    assert.deepEqual(outcomes, [{ outcome: 'placed' }, { outcome: 'answered', answer }]);
    assert.deepEqual(await orders.place([placement(later, { key: 'k', fingerprint: 'g' })]), [
      { outcome: 'answered', answer },
    ]);
    assert.equal(await count('orders'), 1);
    assert.equal(await count('events'), 1);
  });

  it('if an order was placed before, the response to a new key is saved separately, and never replaced', async () => {
    const order = placedOrder({ content: { id: 'taken' } });
    await orders.place([placement(order)]);
    await orders.place([placement(order, { key: 'k' })]);
    assert.equal(await count('idempotency_keys'), 0, 'placing saves no key for an order that existed before');
    const key = { principal: 'p', operation: 'place', key: 'k', fingerprint: 'f' };
    await orders.saveResponse(key, answer);
    await orders.saveResponse(key, { ...answer, status: 500 });
    assert.deepEqual(await orders.place([placement(placedOrder(), { key: 'k' })]), [
      { outcome: 'answered', answer },
    ]);
  });

  it('concurrent groups with the same keys and ids do not deadlock, and each order is placed once', async () => {
    const groups = Array.from({ length: 8 }, (_, group) =>
      Array.from({ length: 20 }, (_, n) => {
        const number = group % 2 ? n : 19 - n;
        return placement(
          placedOrder({ content: { id: `shared-${number}` } }),
          number % 3 ? {} : { key: `key-${number}` },
        );
      }),
    );
    const outcomes = (await Promise.all(groups.map((group) => orders.place(group)))).flat();
    assert.equal(outcomes.filter(({ outcome }) => outcome === 'placed').length, 20);
    assert.equal(await count('orders'), 20);
    assert.equal(await count('events'), 20);
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

  it('a transaction changes orders, and a failed transaction changes nothing', async () => {
    const order = placedOrder();
    await orders.place([placement(order)]);
    const moved = movedTo(order, 'PROCESSING');
    await assert.rejects(
      transactions.run(async (tx) => {
        await tx.saveOrders([moved]);
        await tx.claimEvents('c', ['e']);
        throw new Error('on purpose');
      }),
      /on purpose/,
    );
    assert.deepEqual(await found(order.id), order);
    await transactions.run(async (tx) => {
      assert.deepEqual(await tx.lockOrders([order.id, 'unknown' as OrderId]), new Map([[order.id, order]]));
      assert.deepEqual(await tx.claimEvents('c', ['e']), new Set(['e']));
      assert.deepEqual(await tx.claimEvents('c', ['e', 'f']), new Set(['f']));
      await tx.saveOrders([moved]);
    });
    assert.deepEqual(await found(order.id), moved);
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

  it('orders are listed newest first, page by page, each order once, with filters for status and time', async () => {
    const placed = Array.from({ length: 25 }, (_, n) => placedOrder({ at: NOON + Math.floor(n / 3) }));
    await orders.place(placed.map((order) => placement(order)));
    const done = placed.slice(0, 10).map((order) => movedTo(order, 'PROCESSING'));
    await transactions.run((tx) => tx.saveOrders(done));

    async function pages(query: Partial<Parameters<OrderStore['list']>[0]>): Promise<Order[]> {
      const all: Order[] = [];
      for (;;) {
        const last = all.at(-1);
        const page = await orders.list({ ...query, limit: 4, ...(last ? { after: last } : {}) });
        if (page.length === 0) return all;
        all.push(...page);
      }
    }
    const newestFirst = (some: readonly Order[]) =>
      [...some].sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1)).map(({ id }) => id);
    assert.deepEqual(
      (await pages({})).map(({ id }) => id),
      newestFirst(placed),
    );
    assert.deepEqual(
      (await pages({ status: 'PROCESSING' })).map(({ id }) => id),
      newestFirst(done),
    );
    const between = { createdFrom: NOON + 2, createdBefore: NOON + 5 };
    const expected = placed.filter(({ createdAt }) => createdAt >= NOON + 2 && createdAt < NOON + 5);
    assert.deepEqual(
      (await pages(between)).map(({ id }) => id),
      newestFirst(expected),
    );
  });

  it('the waiting orders of a window are streamed nearest due time first, without orders in flight', async () => {
    const times = [5_000, 1_000, 3_000, 2_000, 4_000];
    const placed = times.map((ms) => placedOrder({ scheduledAt: NOON + ms }));
    await orders.place(placed.map((order) => placement(order)));
    await transactions.run((tx) => tx.saveOrders([movedTo(placed[2] as Order, 'PROCESSING')]));
    const read = async (from: number, to: number) => {
      const all: Waiting[] = [];
      for await (const page of orderSchedule.waiting({ from, to })) all.push(...page);
      return all.map(({ dueAt }) => dueAt - NOON);
    };
    assert.deepEqual(await read(0, Number.POSITIVE_INFINITY), [1_000, 2_000, 4_000, 5_000]);
    assert.deepEqual(
      await read(NOON + 2_000, NOON + 5_000),
      [2_000, 4_000],
      'the window includes its start and excludes its end',
    );
    const ids = placed.map(({ id }) => id);
    assert.deepEqual(
      (await orderSchedule.stillWaiting(ids)).map(({ dueAt }) => dueAt - NOON).sort(),
      [1_000, 2_000, 4_000, 5_000],
    );
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

  it('a response is saved once for each key, and saving it again fails with IDEMPOTENCY_KEY_REUSED', async () => {
    const key = { principal: 'p', operation: 'cancel', key: 'k', fingerprint: 'f' };
    await transactions.run((tx) => tx.idempotency.save(key, answer));
    assert.deepEqual(await transactions.run((tx) => tx.idempotency.find(key)), answer);
    await assert.rejects(
      transactions.run((tx) => tx.idempotency.save(key, answer)),
      { code: 'IDEMPOTENCY_KEY_REUSED' },
    );
  });

  it('a cancelled order is stored with its reason', async () => {
    const order = placedOrder();
    await orders.place([placement(order)]);
    const cancelled = afterEvents(order, { type: 'cancelled', at: NOON, reason: 'changed my mind' });
    await transactions.run((tx) => tx.saveOrders([cancelled]));
    assert.deepEqual(await found(order.id), cancelled);
  });
});
