/** Erasures on a real Postgres: what was under way, what arrives later, and processes that die. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import { fact } from '../../../internal/domain/announce.ts';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { Event } from '../../../internal/domain/events.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { erasedAmong } from '../../../internal/repository/postgres/erased-orders.ts';
import { postgresPersonalData } from '../../../internal/repository/postgres/maintenance/personal-data.ts';
import { postgresNotifications } from '../../../internal/repository/postgres/notifications/notifications.ts';
import { orderCache } from '../../../internal/repository/postgres/orders/order-cache.ts';
import { postgresOrderStore } from '../../../internal/repository/postgres/orders/order-store.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import { postgresHistory } from '../../../internal/repository/postgres/views/order-history.ts';
import { postgresViewSource } from '../../../internal/repository/postgres/views/view-source.ts';
import {
  type EraseDeps,
  eraseCustomer,
  eraser,
} from '../../../internal/service/maintenance/erase-customer.ts';
import { historyConsumer } from '../../../internal/service/views/project-views.ts';
import { ADDRESS, createdEvent, movedTo, placedOrder } from '../../support/builders.ts';
import { type ManualClock, manualClock, NOON } from '../../support/manual-clock.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { freshDatabase } from '../../support/servers.ts';
import { tracesOf } from '../../support/traces-of.ts';

const NAME = 'Meera Quillfeather';
const PHONE = '+49-555-777-1234';
const MINUTE = 60_000;

describe('erasing a customer', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let clock: ManualClock;
  let deps: EraseDeps;

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
    await pool.query(
      'TRUNCATE orders, events, order_history, notifications, dead_letters, idempotency_keys, erasures, erased_orders',
    );
    clock = manualClock();
    deps = {
      personalData: postgresPersonalData(pool),
      transactions: postgresTransactions(pool, () => {}),
      viewSource: postgresViewSource(pool),
      views: { put: async () => [], get: async () => undefined },
      history: postgresHistory(pool),
      clock,
      log: recordingLog(),
      newId: randomUUID,
    };
  });

  const traces = () => tracesOf([NAME, PHONE, ADDRESS.street], pool);

  /** An order of the customer that has ended, and its order.created event. */
  async function ended(id: string): Promise<Event> {
    const content = {
      ...{ id, customerId: 'meera', customerName: NAME, contact: { phone: PHONE } },
      ...{ deliveryAddress: ADDRESS, items: [{ itemId: 'i1', quantity: 1 }] },
    };
    const order = placedOrder({ content });
    const event = createdEvent(order, randomUUID());
    await postgresOrderStore(pool, () => {}).place([{ order, event, fingerprint: 'f' }]);
    await deps.transactions.run((tx) =>
      tx.saveOrders([movedTo(order, 'PROCESSING', 'CONFIRMED', 'COMPLETED')]),
    );
    return event;
  }

  it('an event that is consumed after the erasure brings nothing back, as history or as a dead letter', async () => {
    const event = await ended('a');
    await eraseCustomer(deps, 'meera');
    assert.deepEqual(await traces(), []);
    const { history } = deps;
    await historyConsumer({ history, erasedAmong: (ids) => erasedAmong(pool, ids) }).perform?.([event]);
    await deps.transactions.run(async (tx) => {
      await tx.deadLetters.add([
        {
          ...{
            consumer: 'c',
            eventId: event.eventId,
            orderId: 'a',
            topic: 'raw.order-events',
            record: event,
          },
          ...{ error: `Error: no room for ${NAME}`, retryCount: 3 },
        },
      ]);
    });
    assert.deepEqual(await traces(), []);
    assert.equal((await history.of('a' as OrderId, 10)).length, 1);
    const { rows } = await pool.query('SELECT error, record FROM dead_letters');
    assert.deepEqual([rows[0].error, rows[0].record.payload.customerName], ['erased', 'erased']);
    assert.deepEqual(await postgresNotifications(pool).customers(['a' as OrderId]), new Map());
  });

  it('what was read before the erasure and stored after it is erased by a second look, five minutes later', async () => {
    const event = await ended('a');
    const run = eraser(deps);
    const about = { consumer: 'c', eventId: event.eventId, orderId: 'a', topic: 'raw.order-events' };
    const late = fact(
      'notification.sent',
      'a',
      { template: 'T', to: PHONE, sentAt: '2030-01-01T12:00:00Z' },
      {
        ...{ eventId: randomUUID(), at: NOON, producer: 'test' },
      },
    );
    await deps.transactions.run(async (tx) => {
      const error = `Error: no room for ${NAME}`;
      await tx.deadLetters.add([{ ...about, record: event, error, retryCount: 3 }]);
      await eraseCustomer(deps, 'meera');
      await tx.appendEvents([late as Event]);
      await postgresNotifications(pool).save(tx, [
        {
          ...{ orderId: 'a' as OrderId, to: PHONE, template: 'T', variables: {}, state: 'SENT' },
          ...{ attempts: 0, createdAt: NOON, sentAt: NOON },
        },
      ]);
    });
    clock.advance(4 * MINUTE);
    await run();
    const left = (await traces()).map((trace) => trace.replace(/:.*/, ''));
    assert.deepEqual([...new Set(left)], ['dead_letters', 'events', 'notifications']);
    clock.advance(2 * MINUTE);
    await run();
    assert.deepEqual(await traces(), []);
    clock.advance(60 * MINUTE);
    assert.deepEqual(await deps.personalData.unfinished({ requested: clock.now(), erased: clock.now() }), []);
  });

  it('an erasure whose process has died is finished by another process', async () => {
    for (let n = 0; n < 120; n++) await ended(`o-${n}`);
    let batches = 2;
    const dying: EraseDeps = {
      ...deps,
      transactions: {
        run: (work) => {
          batches -= 1;
          if (batches < 0) throw new TiffinError('UNAVAILABLE', 'the process is gone');
          return deps.transactions.run(work);
        },
      },
    };
    await assert.rejects(eraseCustomer(dying, 'meera'), { code: 'UNAVAILABLE' });
    const run = eraser(deps);
    await run();
    assert.ok((await traces()).length > 0, 'the process may still be at work');
    clock.advance(MINUTE + 1);
    await run();
    assert.deepEqual(await traces(), []);
    const waiting = { requested: 0, erased: clock.now() + 1 };
    assert.deepEqual(
      await deps.personalData.unfinished(waiting),
      [{ customerId: 'meera', isErased: true }],
      'it gets a second look too',
    );
    clock.advance(6 * MINUTE);
    await run();
    assert.deepEqual(await deps.personalData.unfinished({ ...waiting, erased: clock.now() + 1 }), []);
  });

  it('an erasure that fails does not keep others from being finished', async () => {
    for (const id of ['faulty', 'meera']) await deps.personalData.note(id, 'requested', NOON);
    await ended('a');
    const log = recordingLog();
    const erasedOf = async (id: string) => {
      if (id === 'faulty') throw new Error('a row that cannot be read');
      return deps.personalData.erasedOf(id);
    };
    clock.advance(2 * MINUTE);
    await eraser({ ...deps, log, personalData: { ...deps.personalData, erasedOf } })();
    assert.deepEqual(await traces(), []);
    assert.deepEqual(
      log.at('warn').map(({ fields }) => fields.customer),
      ['faulty'],
    );
  });

  it('a process that has the order in its memory shows it erased', async () => {
    const cache = orderCache();
    const event = await ended('a');
    const remembering = postgresTransactions(pool, () => {}, cache);
    await remembering.run((tx) => tx.lockOrders(['a' as OrderId]));
    await eraseCustomer(deps, 'meera');
    const [order] = await postgresOrderStore(pool, () => {}, cache).find([event.orderId as OrderId]);
    assert.deepEqual([order?.customerName, order?.contact], ['erased', undefined]);
    assert.deepEqual(order?.timeline.at(-1), { fact: 'ERASED', at: NOON });
  });

  it('stored responses of the customer and about the customer’s orders are erased, and those of others stay', async () => {
    await ended('a');
    const answer = (customer_name: string, id: string) => ({
      ...{ status: 201, headers: {}, fingerprint: 'f', body: { id, customer_name, total_price: 5 } },
    });
    const key = (principal: string) => ({ principal, operation: 'POST /orders', key: 'k', fingerprint: 'f' });
    const orders = postgresOrderStore(pool, () => {});
    await orders.saveResponse(key('meera'), answer(NAME, 'gone'));
    await orders.saveResponse(key('olga'), answer(NAME, 'a'));
    await orders.saveResponse(key('ben'), answer('Ben', 'b'));
    const { answers } = await eraseCustomer(deps, 'meera');
    assert.equal(answers, 2);
    const { rows } = await pool.query(
      `SELECT answer->'body' AS body FROM idempotency_keys ORDER BY principal`,
    );
    assert.deepEqual(
      rows.map(({ body }) => [body.customer_name, body.total_price]),
      [
        ['Ben', 5],
        ['erased', 5],
        ['erased', 5],
      ],
    );
  });
});
