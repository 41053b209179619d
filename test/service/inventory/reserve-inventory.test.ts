/** Tests of inventory-service on a real Postgres: reservations, releases, races, and redelivered events. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { isTransient } from '../../../internal/domain/errors.ts';
import type { Event } from '../../../internal/domain/events.ts';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { evolve } from '../../../internal/domain/order-decisions.ts';
import { clientOf } from '../../../internal/repository/postgres/database.ts';
import { NOON } from '../../support/manual-clock.ts';
import { type Stockroom, stockroom } from '../../support/stockroom.ts';
import { until } from '../../support/until.ts';

const DAL = [{ itemId: 'dal', quantity: 2 }];

describe('inventory-service', () => {
  let room: Stockroom;
  before(async () => {
    room = await stockroom();
  });
  after(() => room.close());
  beforeEach(() => room.clear());
  const types = async () =>
    (await room.announced()).map(({ eventType, orderId }) => `${orderId} ${eventType}`);
  const isWaiting = (statement: string) => async () => {
    const { rows } = await room.pool.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ILIKE $1`,
      [`%${statement}%FOR UPDATE%`],
    );
    return rows.length > 0;
  };

  it('the items of an order are reserved, and the event has the amount due and the trace of its cause', async () => {
    await room.stock({ dal: 10 });
    await room.seed(['a'], [...DAL, ...DAL]);
    const cause = room.processing('a');
    await room.deliver(cause);
    const [reserved] = await room.announced();
    assert.deepEqual(
      [reserved?.eventType, reserved?.payload, reserved?.traceparent, reserved?.producer],
      [
        'inventory.reserved',
        { items: [{ itemId: 'dal', quantity: 4 }], amountDue: '12.50' },
        cause.traceparent,
        'inventory-service',
      ],
    );
    assert.deepEqual(await room.shelf(), { dal: 6 });
  });

  it('an order with a missing item is rejected with the missing items, and reserves none', async () => {
    await room.stock({ dal: 1, rice: 9 });
    await room.seed(['a'], [...DAL, { itemId: 'rice', quantity: 1 }]);
    await room.deliver(room.processing('a'));
    const [rejected] = await room.announced();
    assert.deepEqual(
      [rejected?.eventType, rejected?.payload],
      [
        'inventory.rejected',
        { reason: 'OUT_OF_STOCK', items: [{ itemId: 'dal', requested: 2, available: 1 }] },
      ],
    );
    await room.deliver(room.failed('a'));
    assert.deepEqual([await room.shelf(), await types()], [{ dal: 1, rice: 9 }, ['a inventory.rejected']]);
  });

  it('an item that reaches its threshold causes one low_stock event', async () => {
    await room.stock({ dal: 5 }, 3);
    await room.seed(['a', 'b'], [{ itemId: 'dal', quantity: 1 }]);
    await room.deliver(room.processing('a'), room.processing('b'));
    const low = (await room.announced()).filter(({ eventType }) => eventType === 'inventory.low_stock');
    assert.deepEqual(
      low.map(({ orderId, payload }) => [orderId, payload]),
      [['b', { itemId: 'dal', stockCount: 3, threshold: 3 }]],
    );
  });

  for (const status of ['CREATED', 'CONFIRMED', 'COMPLETED', 'CANCELLED', 'FAILED'] as const) {
    it(`no stock is reserved for an order that is ${status}`, async () => {
      await room.stock({ dal: 10 });
      await room.seed(['a'], DAL, status);
      await room.deliver(room.processing('a'));
      assert.deepEqual([await room.shelf(), await types()], [{ dal: 10 }, []]);
    });
  }

  it('no stock is reserved for an unknown order or one without items', async () => {
    await room.seed(['a'], []);
    await room.deliver(room.processing('a'), room.processing('nobody'));
    assert.deepEqual([await room.reservations(), await types()], [{}, []]);
  });

  it('the reservation of an order that fails or is cancelled is released, and an order without one releases nothing', async () => {
    await room.stock({ dal: 10 });
    await room.seed(['a', 'b', 'c'], DAL);
    await room.deliver(room.processing('a'), room.processing('b'));
    await room.deliver(room.cancelled('a'), room.failed('b'), room.cancelled('c'));
    assert.deepEqual(await room.shelf(), { dal: 10 });
    assert.deepEqual((await types()).slice(2).sort(), ['a inventory.released', 'b inventory.released']);
    assert.deepEqual((await room.announced()).at(-1)?.payload, { items: DAL });
  });

  it('stock is reserved and released once when every event is delivered five times, shuffled, in concurrent batches', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => `o-${n}`);
    await room.stock({ dal: 60, rice: 40 });
    await room.seed(ids, [...DAL, { itemId: 'rice', quantity: 1 }]);
    const fives = (events: Event[]) => shuffled(events.flatMap((event) => Array<Event>(5).fill(event)));
    await inBatches(fives(ids.map((id) => room.processing(id))));
    assert.deepEqual(await room.shelf(), { dal: 0, rice: 10 });
    await inBatches(fives(ids.slice(0, 20).map((id) => room.cancelled(id))));
    const states = Object.entries(await room.reservations()).filter(([, state]) => state !== 'rejected');
    assert.equal(states.length, 30, 'thirty orders were reserved');
    for (const [id, state] of states) assert.equal(state, ids.indexOf(id) < 20 ? 'released' : 'reserved', id);
    await room.assertNothingLost({ dal: 60, rice: 40 });
    const published = await types();
    assert.equal(new Set(published).size, published.length, 'no event was published twice');
    assert.equal(published.length, 40 + states.filter(([, state]) => state === 'released').length);
  });

  it('no stock is reserved if a cancellation commits while the reservation waits for the order’s lock', async () => {
    await room.stock({ dal: 10 });
    await room.seed(['a'], DAL);
    let reserving: Promise<void> | undefined;
    await room.transactions.run(async (tx) => {
      const order = (await tx.lockOrders(['a' as OrderId])).get('a' as OrderId) as Order;
      reserving = room.deliver(room.processing('a'));
      await until('the reservation to wait', isWaiting('from "orders"'));
      await tx.saveOrders([evolve(order, { type: 'cancelled', at: NOON })]);
    });
    await reserving;
    await room.deliver(room.cancelled('a'));
    assert.deepEqual([await room.shelf(), await types()], [{ dal: 10 }, []]);
  });

  it('a reservation is released if a cancellation arrives while it waits for the stock’s lock', async () => {
    await room.stock({ dal: 10 });
    await room.seed(['a'], DAL);
    let reserving: Promise<void> | undefined;
    let cancelling: Promise<unknown> | undefined;
    await room.transactions.run(async (tx) => {
      await clientOf(tx).query('SELECT FROM inventory_items FOR UPDATE');
      reserving = room.deliver(room.processing('a'));
      await until('the reservation to wait for stock', isWaiting('from "inventory_items"'));
      cancelling = room.cancel('a');
      await until('the cancellation to wait for the order', isWaiting('from "orders"'));
    });
    await Promise.all([reserving, cancelling]);
    assert.deepEqual(await room.shelf(), { dal: 8 }, 'the reservation committed first');
    await room.deliver(room.cancelled('a'));
    assert.deepEqual([await room.shelf(), await room.reservations()], [{ dal: 10 }, { a: 'released' }]);
  });

  it('a reservation whose connection ends before the commit has no effect, and the redelivered event reserves once', async () => {
    await room.stock({ dal: 10 });
    await room.seed(['a'], DAL);
    const event = room.processing('a');
    const dying = room.deliverWith(
      {
        async reserve(tx, requests) {
          await room.inventory.reserve(tx, requests);
          await clientOf(tx).query('SELECT pg_terminate_backend(pg_backend_pid())');
          throw new Error('this connection should be gone');
        },
      },
      event,
    );
    await assert.rejects(dying, isTransient);
    assert.deepEqual([await room.shelf(), await room.reservations(), await types()], [{ dal: 10 }, {}, []]);
    await room.deliver(event);
    await room.deliver(event);
    assert.deepEqual([await room.shelf(), await types()], [{ dal: 8 }, ['a inventory.reserved']]);
  });

  it('a release whose connection ends before the commit has no effect, and the redelivered event releases once', async () => {
    await room.stock({ dal: 10 });
    await room.seed(['a'], DAL);
    await room.deliver(room.processing('a'));
    const event = room.cancelled('a');
    const dying = room.deliverWith(
      {
        async release(tx, ids) {
          await room.inventory.release(tx, ids);
          await clientOf(tx).query('SELECT pg_terminate_backend(pg_backend_pid())');
          throw new Error('this connection should be gone');
        },
      },
      event,
    );
    await assert.rejects(dying, isTransient);
    assert.deepEqual(await room.shelf(), { dal: 8 });
    await room.deliver(event, room.cancelled('a'));
    assert.deepEqual(await room.shelf(), { dal: 10 });
  });

  /** Delivers the events in six concurrent batches; a batch that lost a race is redelivered. */
  async function inBatches(events: readonly Event[]): Promise<void> {
    const size = Math.ceil(events.length / 6);
    const deliver = async (batch: Event[]): Promise<void> => {
      try {
        await room.deliver(...batch);
      } catch (error) {
        if (!isTransient(error)) throw error;
        await deliver(batch);
      }
    };
    await Promise.all(Array.from({ length: 6 }, (_, n) => deliver(events.slice(n * size, (n + 1) * size))));
  }

  function shuffled<T>(all: readonly T[]): T[] {
    return all
      .map((value) => [Math.random(), value] as const)
      .sort(([a], [b]) => a - b)
      .map(([, value]) => value);
  }
});
