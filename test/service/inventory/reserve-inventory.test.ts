/** What inventory-service makes of events: each once, only for orders that still want it, and back when they drop out. */
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

  it('puts aside what an order has, and says so with what it costs, on the trace of what caused it', async () => {
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

  it('says what is missing where an order cannot have all of it, and takes nothing', async () => {
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

  it('warns once of an item that runs low', async () => {
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
    it(`takes nothing for an order that is ${status}`, async () => {
      await room.stock({ dal: 10 });
      await room.seed(['a'], DAL, status);
      await room.deliver(room.processing('a'));
      assert.deepEqual([await room.shelf(), await types()], [{ dal: 10 }, []]);
    });
  }

  it('takes nothing for an order without items, or one that is not known', async () => {
    await room.seed(['a'], []);
    await room.deliver(room.processing('a'), room.processing('nobody'));
    assert.deepEqual([await room.reservations(), await types()], [{}, []]);
  });

  it('gives back what an order had when it drops out, and nothing where it had nothing', async () => {
    await room.stock({ dal: 10 });
    await room.seed(['a', 'b', 'c'], DAL);
    await room.deliver(room.processing('a'), room.processing('b'));
    await room.deliver(room.cancelled('a'), room.failed('b'), room.cancelled('c'));
    assert.deepEqual(await room.shelf(), { dal: 10 });
    assert.deepEqual((await types()).slice(2).sort(), ['a inventory.released', 'b inventory.released']);
    assert.deepEqual((await room.announced()).at(-1)?.payload, { items: DAL });
  });

  it('does each thing once, though every event comes five times, shuffled, in batches at the same time', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => `o-${n}`);
    await room.stock({ dal: 60, rice: 40 });
    await room.seed(ids, [...DAL, { itemId: 'rice', quantity: 1 }]);
    const fives = (events: Event[]) => shuffled(events.flatMap((event) => Array<Event>(5).fill(event)));
    await inBatches(fives(ids.map((id) => room.processing(id))));
    assert.deepEqual(await room.shelf(), { dal: 0, rice: 10 });
    await inBatches(fives(ids.slice(0, 20).map((id) => room.cancelled(id))));
    const states = Object.entries(await room.reservations()).filter(([, state]) => state !== 'rejected');
    assert.equal(states.length, 30, 'thirty got theirs');
    for (const [id, state] of states) assert.equal(state, ids.indexOf(id) < 20 ? 'released' : 'reserved', id);
    await room.assertNothingLost({ dal: 60, rice: 40 });
    const said = await types();
    assert.equal(new Set(said).size, said.length, 'nothing was said twice');
    assert.equal(said.length, 40 + states.filter(([, state]) => state === 'released').length);
  });

  it('takes nothing where a cancellation commits while it waits for the order', async () => {
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

  it('gives back what it took where a cancellation came while it waited for the stock', async () => {
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
    assert.deepEqual(await room.shelf(), { dal: 8 }, 'the reservation came first');
    await room.deliver(room.cancelled('a'));
    assert.deepEqual([await room.shelf(), await room.reservations()], [{ dal: 10 }, { a: 'released' }]);
  });

  it('has taken nothing when its connection ends right after it took, and takes it once when the event comes again', async () => {
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

  it('gives back once where its connection ends right after it did', async () => {
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

  /** Six batches under way at a time; one that lost a race comes again, as the stream would have it. */
  async function inBatches(events: readonly Event[]): Promise<void> {
    const size = Math.ceil(events.length / 6);
    const again = async (batch: Event[]): Promise<void> => {
      try {
        await room.deliver(...batch);
      } catch (error) {
        if (!isTransient(error)) throw error;
        await again(batch);
      }
    };
    await Promise.all(Array.from({ length: 6 }, (_, n) => again(events.slice(n * size, (n + 1) * size))));
  }

  function shuffled<T>(all: readonly T[]): T[] {
    return all
      .map((value) => [Math.random(), value] as const)
      .sort(([a], [b]) => a - b)
      .map(([, value]) => value);
  }
});
