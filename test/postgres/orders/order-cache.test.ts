/** Orders that a process remembers, on a real Postgres: what it is told is what is true, whoever changed it. */
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
  /** Names of the statements it ran since it was last asked. */
  asked(): string[];
}

describe('the orders that a process knows', () => {
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
    ours = process(orderCache());
    theirs = process(orderCache());
  });

  function process(cache: OrderCache): Process {
    const asked: string[] = [];
    const listening: OrderCache = {
      add: cache.add,
      read: (db, ids, options) => {
        const heard = new Proxy(db, {
          get: (target, name) =>
            name === 'query'
              ? (statement: pg.QueryConfig, values: unknown[]) => {
                  asked.push(statement.name ?? '');
                  return target.query(statement, values);
                }
              : Reflect.get(target, name),
        });
        return cache.read(heard, ids, options);
      },
    };
    return {
      orders: postgresOrderStore(pool, () => {}, listening),
      transactions: postgresTransactions(pool, () => {}, listening),
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

  it('are asked for by their version alone, once placed, read or changed', async () => {
    const order = await place(ours);
    assert.deepEqual([await lock(ours, order.id), ours.asked()], [[order], ['lock-versions']]);
    const moved = movedTo(order, 'PROCESSING');
    await save(ours, moved);
    ours.asked();
    assert.deepEqual([await ours.orders.find([order.id]), ours.asked()], [[moved], ['find-versions']]);
    assert.deepEqual([await lock(theirs, order.id), theirs.asked()], [[moved], ['lock-orders']]);
    assert.deepEqual([await lock(theirs, order.id), theirs.asked()], [[moved], ['lock-versions']]);
  });

  it('are read anew where somebody else has changed them, and the others are not', async () => {
    const [changed, same] = [await place(ours), await place(ours)];
    const strange = await place(theirs);
    const moved = movedTo(changed, 'PROCESSING');
    await save(theirs, moved);
    const found = await lock(ours, changed.id, same.id, strange.id, 'nobody' as OrderId);
    const byId = new Map(found.map((order) => [order.id, order]));
    assert.deepEqual(byId, new Map([moved, same, strange].map((order) => [order.id, order])));
    assert.deepEqual(ours.asked(), ['lock-versions', 'lock-orders']);
  });

  it('are not what a transaction made of them that was rolled back, while another makes the same version of them', async () => {
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

  it('are gone where their rows are', async () => {
    const order = await place(ours);
    await pool.query('DELETE FROM orders');
    assert.deepEqual([await lock(ours, order.id), await ours.orders.find([order.id])], [[], []]);
  });

  it('are so many at most, and the latest', async () => {
    const few = process(orderCache(2));
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
