/** Groups of dead letters: counted, listed, replayed and discarded, in Postgres and in memory alike. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresDeadLetters } from '../../../internal/repository/postgres/stream/dead-letters.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import type { NewDeadLetter } from '../../../internal/service/ports.ts';
import { ERROR_LENGTH } from '../../../internal/service/stream/ports.ts';
import { nextId } from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { freshDatabase } from '../../support/servers.ts';

const LONG = '😀'.repeat(ERROR_LENGTH);

function letter(consumer: string, orderId: string, error?: string): NewDeadLetter {
  const eventId = nextId('event');
  const failed = error === undefined ? { retryCount: 0 } : { retryCount: 3, error };
  return { consumer, eventId, orderId, topic: 'raw.order-events', record: { n: 1 }, ...failed };
}

describe('groups of dead letters', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 4, onError: () => {} });
  });
  after(async () => {
    await pool?.end();
    await database?.drop();
  });

  const stores = {
    Postgres: () => ({
      transactions: postgresTransactions(pool, () => {}),
      deadLetters: postgresDeadLetters(pool),
    }),
    memory: memoryStore,
  };
  for (const [name, open] of Object.entries(stores))
    it(`letters with one consumer and one beginning of the error are a group, in ${name}`, async () => {
      const { transactions, deadLetters } = open();
      const added = [
        letter('c', 'a', 'x'),
        letter('c', 'a'),
        letter('c', 'b', 'x'),
        letter('c', 'd', `${LONG}1`),
        letter('c', 'e', `${LONG}2`),
        letter('c', 'f', `${LONG}2`),
        letter('d', 'a', 'x'),
      ];
      await transactions.run((tx) => tx.deadLetters.add(added));
      const counted = async () => {
        const { groups, isComplete } = await deadLetters.groups();
        assert.equal(isComplete, true);
        for (const { firstAt, lastAt } of groups) assert.ok(firstAt <= lastAt);
        return groups.map(({ consumer, error, count, replaying }) => [consumer, error, count, replaying]);
      };
      const ordersOf = async (group: { consumer: string; error?: string }) =>
        (await deadLetters.list({ limit: 9, ...group })).map(({ orderId }) => orderId);
      assert.deepEqual(await counted(), [
        ['c', LONG, 3, 0],
        ['c', 'x', 2, 0],
        ['d', 'x', 1, 0],
      ]);
      const group = { consumer: 'c', error: 'x' };
      assert.deepEqual(await ordersOf(group), ['a', 'b']);
      assert.deepEqual(await ordersOf({ consumer: 'c', error: LONG }), ['d', 'e', 'f']);
      const [first] = await deadLetters.list({ limit: 1 });
      assert.equal((await deadLetters.find(first?.id ?? ''))?.recordText, '{"n":1}');

      assert.equal(await deadLetters.requestReplayOf(group), 2);
      assert.deepEqual(await counted(), [
        ['c', LONG, 3, 0],
        ['c', 'x', 2, 2],
        ['d', 'x', 1, 0],
      ]);
      const orders = await deadLetters.requested('c');
      assert.deepEqual(
        orders.map(({ orderId, error }) => [orderId, error]),
        [
          ['a', 'x'],
          ['a', undefined],
        ],
        'the event parked behind it follows',
      );
      assert.equal(await deadLetters.discardAllOf(group), 2);
      assert.deepEqual(await ordersOf({ consumer: 'c' }), ['d', 'e', 'f']);
      assert.equal(await deadLetters.requestReplayOf({ consumer: 'c' }), 3);
      assert.equal(await deadLetters.discardAllOf({ consumer: 'c' }), 3);
      assert.deepEqual(await counted(), [['d', 'x', 1, 0]]);
    });

  it('what is beyond the newest 10,000 is not counted, and the answer says so', async () => {
    await pool.query(`insert into dead_letters (consumer, event_id, order_id, topic, record, error)
      select 'many', n::text, n::text, 't', '1', 'y' from generate_series(1, 10000) as n`);
    const { groups, isComplete } = await postgresDeadLetters(pool).groups();
    assert.deepEqual(
      groups.map(({ consumer, count }) => [consumer, count]),
      [['many', 10_000]],
    );
    assert.equal(isComplete, false);
  });
});
