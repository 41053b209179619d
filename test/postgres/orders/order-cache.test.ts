/** The order cache on a real Postgres: orders are current, even if another process has changed them. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { type OrderCache, orderCache } from '../../../internal/repository/postgres/orders/order-cache.ts';
import { postgresOrderStore } from '../../../internal/repository/postgres/orders/order-store.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import type { OrderStore } from '../../../internal/service/orders/ports.ts';
import type { Transactions } from '../../../internal/service/ports.ts';
import { createdEvent, movedTo, placedOrder } from '../../support/builders.ts';
import { freshDatabase } from '../../support/servers.ts';

interface Process {
  readonly orders: OrderStore;
  readonly transactions: Transactions;
  /** Names of the statements that ran since the last call. */
  asked(): string[];
}

describe('the order cache', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let ours: Process;
  let theirs: Process;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 4, onError: () => {} });
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(async () => {
    await pool.query('TRUNCATE orders, events');
    ours = await process(orderCache());
    theirs = await process(orderCache());
  });

  /** One that has seen the server. */
  async function process(cache: OrderCache): Promise<Process> {
    const started = newProcess(cache);
    await lock(started, (await place(started)).id);
    started.asked();
    return started;
  }

  function newProcess(cache: OrderCache): Process {
    const asked: string[] = [];
    const recording: OrderCache = {
      add: cache.add,
      read: (db, ids, options) => {
        const proxy = new Proxy(db, {
          get: (target, name) =>
            name === 'query'
              ? (statement: pg.QueryConfig, values: unknown[]) => {
                  asked.push(statement.name ?? '');
                  return target.query(statement, values);
                }
              : Reflect.get(target, name),
        });
        return cache.read(proxy, ids, options);
      },
    };
    return {
      orders: postgresOrderStore(pool, () => {}, recording),
      transactions: postgresTransactions(pool, () => {}, recording),
      asked: () => asked.splice(0),
    };
  }

  async function place({ orders }: Process): Promise<Order> {
    const order = placedOrder();
    await orders.place([{ order, event: createdEvent(order), fingerprint: 'f' }]);
    return order;
  }
  const lock = ({ transactions }: Process, ...ids: OrderId[]) =>
    transactions.run(async (tx) => [...(await tx.lockOrders(ids)).values()]);
  const save = ({ transactions }: Process, ...orders: Order[]) =>
    transactions.run(async (tx) => {
      await tx.lockOrders(orders.map(({ id }) => id));
      await tx.saveOrders(orders);
    });

  it('only the version of an order is queried once the order was placed, read or changed', async () => {
    const order = await place(ours);
    assert.deepEqual([await lock(ours, order.id), ours.asked()], [[order], ['lock-versions']]);
    const moved = movedTo(order, 'PROCESSING');
    await save(ours, moved);
    ours.asked();
    assert.deepEqual([await ours.orders.find([order.id]), ours.asked()], [[moved], ['find-versions']]);
    assert.deepEqual([await lock(theirs, order.id), theirs.asked()], [[moved], ['lock-orders']]);
    assert.deepEqual([await lock(theirs, order.id), theirs.asked()], [[moved], ['lock-versions']]);
  });

  it('only orders that are not cached or that another process has changed are read in full', async () => {
    const [changed, same] = [await place(ours), await place(ours)];
    const foreign = await place(theirs);
    const moved = movedTo(changed, 'PROCESSING');
    await save(theirs, moved);
    const found = await lock(ours, changed.id, same.id, foreign.id, 'nobody' as OrderId);
    const byId = new Map(found.map((order) => [order.id, order]));
    assert.deepEqual(byId, new Map([moved, same, foreign].map((order) => [order.id, order])));
    assert.deepEqual(ours.asked(), ['lock-versions', 'lock-orders']);
  });

  it('a change that was rolled back is not cached, even if another process stores the same version', async () => {
    const order = await place(ours);
    const rolledBack = ours.transactions.run(async (tx) => {
      await tx.lockOrders([order.id]);
      await tx.saveOrders([movedTo(order, 'PROCESSING')]);
      throw new Error('on purpose');
    });
    await assert.rejects(rolledBack, /on purpose/);
    const cancelled: Order = {
      ...order,
      status: 'CANCELLED',
      version: 2,
      timeline: [...order.timeline, { status: 'CANCELLED', at: order.updatedAt }],
    };
    await save(theirs, cancelled);
    assert.deepEqual(await lock(ours, order.id), [cancelled]);
  });

  it('an order that was cached before the server was known may be that of another server, and is read', async () => {
    const started = newProcess(orderCache());
    const order = await place(started);
    await pool.query(`UPDATE orders SET customer_name = 'Ben'`);
    assert.deepEqual(await lock(started, order.id), [{ ...order, customerName: 'Ben' }]);
    assert.deepEqual(started.asked(), ['lock-versions', 'lock-orders']);
  });

  it('a deleted order is no longer found', async () => {
    const order = await place(ours);
    await pool.query('DELETE FROM orders');
    assert.deepEqual([await lock(ours, order.id), await ours.orders.find([order.id])], [[], []]);
  });

  it('the cache keeps a limited number of orders, the latest ones', async () => {
    const few = await process(orderCache(2));
    const placed = [await place(few), await place(few), await place(few)].map(({ id }) => id);
    for (const [id, statement] of [
      [placed[1], 'find-versions'],
      [placed[2], 'find-versions'],
      [placed[0], 'find-orders'],
    ] as const) {
      await few.orders.find([id as OrderId]);
      assert.deepEqual(few.asked(), [statement]);
    }
  });
});
