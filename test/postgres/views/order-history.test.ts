/** The order history on a real Postgres: each event once, a partition for each month, a default partition. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import { fact } from '../../../internal/domain/announce.ts';
import type { Event } from '../../../internal/domain/events.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresHistoryPartitions } from '../../../internal/repository/postgres/maintenance/history-partitions.ts';
import { postgresDeadLetters } from '../../../internal/repository/postgres/stream/dead-letters.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import { postgresHistory } from '../../../internal/repository/postgres/views/order-history.ts';
import type { HistoryPartitions } from '../../../internal/service/maintenance/ports.ts';
import type { Transactions } from '../../../internal/service/ports.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import type { History } from '../../../internal/service/views/ports.ts';
import { historyConsumer } from '../../../internal/service/views/project-views.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';
import { freshDatabase } from '../../support/servers.ts';

const JUNE = Date.UTC(2030, 5, 15);
const FOR_EVER = 0;
const LIMIT = 100;

/** An event of the order, at this time (epoch ms). */
function happened(orderId: string, at: number, eventId: string = randomUUID()): Event {
  return fact(
    'payment.failed',
    orderId,
    { reason: 'a\nb "c" \\ \u0000' },
    { eventId, at, producer: 'test' },
  ) as Event;
}

describe('the history of orders', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let transactions: Transactions;
  let history: History;
  let historyPartitions: HistoryPartitions;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 6, onError: () => {} });
    transactions = postgresTransactions(pool, () => {});
    history = postgresHistory(pool);
    historyPartitions = postgresHistoryPartitions(pool);
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(async () => {
    await historyPartitions.maintain(JUNE, Date.UTC(9000, 0));
    for (const name of await partitions())
      if (name !== 'order_history_rest') await pool.query(`DROP TABLE ${name}`);
    await pool.query('TRUNCATE order_history');
  });

  const append = (...events: Event[]) => history.append(events);
  const of = async (id: string, limit = LIMIT) => history.of(id as OrderId, limit);
  const ids = async (id: string, limit = LIMIT) => (await of(id, limit)).map(({ eventId }) => eventId);
  /** The number of rows in each partition that has any. */
  async function stored(): Promise<Record<string, number>> {
    const { rows } = await pool.query(
      'SELECT tableoid::regclass::text AS name, count(*)::int AS n FROM order_history GROUP BY 1',
    );
    return Object.fromEntries(rows.map(({ name, n }) => [name, n]));
  }
  async function partitions(): Promise<string[]> {
    const { rows } = await pool.query(
      "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'order_history'::regclass ORDER BY 1",
    );
    return rows.map(({ name }) => name);
  }

  it('an event that is delivered five times is stored once: in one batch, in several, or through its consumer', async () => {
    const event = happened('o', JUNE);
    await append(event, event, event);
    await append(event);
    const deps = {
      clock: manualClock(),
      transactions,
      deadLetters: postgresDeadLetters(pool),
      log: recordingLog(),
      meter: recordingMeter(),
    };
    const { handle } = subscriptionOf(deps, historyConsumer({ history, erasedAmong: async () => new Set() }));
    const second = happened('o', JUNE + 1);
    for (let times = 0; times < 5; times++)
      await handle({ deliveries: [deliveryOf(event), deliveryOf(second)], settle: async () => {} });
    assert.deepEqual(await ids('o'), [event.eventId, second.eventId]);
  });

  it('characters that Postgres cannot store in text are replaced', async () => {
    await append(happened('o', JUNE));
    assert.deepEqual((await of('o'))[0]?.payload, { reason: 'a\nb "c" \\ \ufffd' });
  });

  it('maintenance creates the partitions of this month and the next two, once each and across the end of a year', async () => {
    await historyPartitions.maintain(Date.UTC(2030, 10, 30, 23, 59), FOR_EVER);
    await historyPartitions.maintain(Date.UTC(2030, 10, 30, 23, 59), FOR_EVER);
    assert.deepEqual(await partitions(), [
      'order_history_2030_11',
      'order_history_2030_12',
      'order_history_2031_01',
      'order_history_rest',
    ]);
  });

  it('an event is stored in the partition of its month, or in the default partition if there is none', async () => {
    await historyPartitions.maintain(JUNE, FOR_EVER);
    const [late, first, last, early] = [
      Date.UTC(2030, 4, 31, 23, 59, 59, 999),
      Date.UTC(2030, 5, 1),
      Date.UTC(2030, 7, 31, 23, 59, 59, 999),
      Date.UTC(2030, 8, 1),
    ].map((at) => happened('o', at)) as [Event, Event, Event, Event];
    await append(last, early, late, first);
    assert.deepEqual(await stored(), {
      order_history_2030_06: 1,
      order_history_2030_08: 1,
      order_history_rest: 2,
    });
    assert.deepEqual(
      await ids('o'),
      [late, first, last, early].map(({ eventId }) => eventId),
    );
  });

  it('a new partition takes the events of its month from the default partition', async () => {
    const events = [JUNE, Date.UTC(2030, 8, 2), Date.UTC(2035, 0, 1)].map((at) => happened('o', at));
    await append(...events);
    assert.deepEqual(await stored(), { order_history_rest: 3 });
    await historyPartitions.maintain(Date.UTC(2030, 6, 1), FOR_EVER);
    assert.deepEqual(await stored(), { order_history_2030_09: 1, order_history_rest: 2 });
    assert.deepEqual(
      await ids('o'),
      events.map(({ eventId }) => eventId),
    );
    await append(...events);
    assert.equal((await of('o')).length, 3, 'each event is still there once');
  });

  it('a month that ended before the retention limit is removed, and later months are kept as a whole', async () => {
    await historyPartitions.maintain(JUNE, FOR_EVER);
    const kept = [happened('o', Date.UTC(2030, 6, 1)), happened('o', Date.UTC(2030, 6, 20))];
    await append(happened('o', JUNE), happened('o', Date.UTC(2029, 0)), ...kept);
    await historyPartitions.maintain(JUNE, Date.UTC(2030, 6, 10));
    assert.deepEqual(
      await ids('o'),
      kept.map(({ eventId }) => eventId),
    );
    assert.ok((await partitions()).includes('order_history_2030_07'), 'a partly expired month is kept whole');
  });

  it('several processes maintain the partitions while events are appended, and no event is lost', async () => {
    await historyPartitions.maintain(Date.UTC(2029, 0), FOR_EVER);
    const others = openPool(database.url, { max: 3, onError: () => {} });
    const keeper = postgresHistoryPartitions(others);
    const events = Array.from({ length: 300 }, (_, n) => happened('o', JUNE + n));
    try {
      await Promise.all([
        ...events.map((event) => append(event)),
        ...[1, 2, 3].map(() => keeper.maintain(JUNE, Date.UTC(2030, 0))),
      ]);
    } finally {
      await others.end();
    }
    assert.equal((await of('o', 1_000)).length, 300);
    assert.deepEqual(
      (await partitions()).filter((name) => name.includes('2029')),
      [],
    );
  });
});
