/** Retention of orders, payments, messages and dead letters on a real Postgres, in batches. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresRetention } from '../../../internal/repository/postgres/maintenance/retention.ts';
import type { Aging, Retention } from '../../../internal/service/maintenance/ports.ts';
import { pruner } from '../../../internal/service/maintenance/prune.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { freshDatabase } from '../../support/servers.ts';

const DAY_MS = 86_400_000;
const LIMIT = 100;

describe('retention of rows', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let retention: Retention;

  before(async () => {
    database = await freshDatabase();
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: 2, onError: () => {} });
    retention = postgresRetention(pool);
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(async () => {
    await pool.query(`TRUNCATE orders, payments, notifications, reservations, tickets, deliveries, timers,
      dead_letters, processed_events, idempotency_keys`);
  });

  /** An order that reached its status `days` days ago. */
  const order = (id: string, status: string, days: number) =>
    pool.query(
      `INSERT INTO orders (order_id, status, reason, total_amount, currency, due_at, created_at, updated_at, version,
         timeline, fingerprint)
       SELECT $1, $2::varchar, 'NONE', 10, 'USD', at, at - interval '400 days', at, 1, '[{}]', 'f'
       FROM (SELECT now() - make_interval(days => $3) AS at) t`,
      [id, status, days],
    );
  const payment = (id: string, state: string, days = 0) =>
    pool.query(
      `INSERT INTO payments (order_id, currency, state, requested, authorized, captured, refunded, authorization_id,
         requested_at, authorized_at, captured_at, voided_at, refunded_at)
       SELECT $1, 'USD', $2::varchar, 10, CASE WHEN granted THEN 10 ELSE 0 END, CASE WHEN taken THEN 10 ELSE 0 END,
         CASE WHEN $2::varchar = 'REFUNDED' THEN 10 ELSE 0 END, 'auth', at, at, CASE WHEN taken THEN at END,
         CASE WHEN $2::varchar = 'VOIDED' THEN at END, CASE WHEN $2::varchar = 'REFUNDED' THEN at END
       FROM (SELECT now() - make_interval(days => $3) AS at, $2::varchar <> 'PENDING' AS granted,
         $2::varchar IN ('CAPTURED', 'REFUNDED') AS taken) t`,
      [id, state, days],
    );
  const message = (id: string, state: string, days: number) =>
    pool.query(
      `INSERT INTO notifications (order_id, template, state, recipient, variables, created_at, sent_at)
       SELECT $1, 't', $2::varchar, '+1', '{}', at, CASE WHEN $2::varchar = 'SENT' THEN at END
       FROM (SELECT now() - make_interval(days => $3) AS at) t`,
      [id, state, days],
    );
  const letter = (id: string, event: string, days: number, error: string | null = 'a fault') =>
    pool.query(
      `INSERT INTO dead_letters (consumer, event_id, order_id, topic, record, error, created_at)
       VALUES ('c', $2, $1, 't', '{}', $4, now() - make_interval(days => $3))`,
      [id, event, days, error],
    );

  const prune = (what: Aging, days: number, limit = LIMIT) =>
    retention.prune(what, Date.now() - days * DAY_MS, limit);
  async function left(table: string): Promise<string[]> {
    const { rows } = await pool.query(`SELECT DISTINCT order_id FROM ${table} ORDER BY order_id`);
    return rows.map(({ order_id }) => order_id);
  }

  it('an order is deleted once it has been ended for its retention, and its other rows go with it', async () => {
    await order('old', 'COMPLETED', 31);
    await order('failed', 'FAILED', 31);
    await order('young', 'COMPLETED', 29);
    await order('moving', 'CONFIRMED', 31);
    for (const id of ['old', 'young']) {
      await message(id, 'SENT', 31);
      await pool.query(`INSERT INTO timers VALUES ($1, 'payment', now())`, [id]);
      await pool.query(`INSERT INTO reservations (order_id, lines, state) VALUES ($1, '[]', 'reserved')`, [
        id,
      ]);
      await pool.query(
        `INSERT INTO tickets (order_id, restaurant_id, state, opened_at) VALUES ($1, 'r', 'CLOSED', now())`,
        [id],
      );
      await pool.query(
        `INSERT INTO deliveries (order_id, state, requested_at) VALUES ($1, 'RELEASED', now())`,
        [id],
      );
    }
    await payment('old', 'CAPTURED');
    assert.equal(await prune('orders', 30), 2);
    assert.deepEqual(await left('orders'), ['moving', 'young']);
    for (const table of ['notifications', 'timers', 'reservations', 'tickets', 'deliveries'])
      assert.deepEqual(await left(table), ['young'], table);
    assert.deepEqual(await left('payments'), ['old'], 'the books are kept');
  });

  it('an ended order whose money, stock, rider or message is not settled is kept', async () => {
    for (const id of ['held', 'asked', 'taken', 'stock', 'rider', 'unsent']) await order(id, 'CANCELLED', 31);
    await payment('held', 'AUTHORIZED');
    await payment('asked', 'PENDING');
    await payment('taken', 'CAPTURED');
    await pool.query(`INSERT INTO reservations (order_id, lines, state) VALUES ('stock', '[]', 'reserved')`);
    await pool.query(
      `INSERT INTO deliveries (order_id, state, rider_id, requested_at, assigned_at, holds_place) VALUES ('rider', 'ASSIGNED', 'r', now(), now(), true)`,
    );
    await message('unsent', 'PENDING', 31);
    await order('refunded', 'CANCELLED', 31);
    await payment('refunded', 'REFUNDED');
    assert.equal(await prune('orders', 30), 1);
    assert.equal((await left('orders')).includes('refunded'), false);
  });

  it('a payment is deleted after its own retention, and never before its order', async () => {
    await payment('old', 'VOIDED', 31);
    await payment('young', 'VOIDED', 29);
    await payment('there', 'VOIDED', 31);
    await order('there', 'CANCELLED', 1);
    assert.equal(await prune('payments', 30), 1);
    assert.deepEqual(await left('payments'), ['there', 'young']);
  });

  it('messages that were sent or given up are deleted, and pending ones are kept', async () => {
    await message('sent', 'SENT', 31);
    await message('given-up', 'GIVEN_UP', 31);
    await message('pending', 'PENDING', 31);
    await message('young', 'SENT', 29);
    assert.equal(await prune('messages', 30), 2);
    assert.deepEqual(await left('notifications'), ['pending', 'young']);
  });

  it('a dead letter is deleted with the events parked behind it, once the youngest of them is old', async () => {
    await letter('old', 'e1', 40);
    await letter('old', 'e2', 31, null);
    await letter('busy', 'e3', 40);
    await letter('busy', 'e4', 1, null);
    assert.equal(await prune('letters', 30), 2);
    assert.deepEqual(await left('dead_letters'), ['busy']);
  });

  it('a batch deletes no more rows than its limit, and rounds go on with pauses until nothing old is left', async () => {
    await pool.query(
      `INSERT INTO processed_events SELECT 'c', gen_random_uuid(), now() - interval '8 days' FROM generate_series(1, 5000)`,
    );
    await pool.query(`INSERT INTO processed_events VALUES ('young', gen_random_uuid(), now())`);
    assert.equal(await prune('marks', 7, 500), 500);
    const log = recordingLog();
    const runOnce = pruner(
      { retention, clock: { now: () => Date.now() }, log },
      { keepMs: { events: 7 * DAY_MS, marks: 7 * DAY_MS }, readsLog: () => true },
    );
    const sleeps: number[] = [];
    do sleeps.push(await runOnce());
    while ((sleeps.at(-1) as number) < 1_000 && sleeps.length < 100);
    assert.equal(sleeps.length, 3, 'batches of 2,000, 2,000 and 500');
    assert.ok(Math.min(...sleeps) >= 10, 'orders get the server between them');
    assert.deepEqual((await pool.query('SELECT consumer FROM processed_events')).rows, [
      { consumer: 'young' },
    ]);
    assert.deepEqual(
      log.at('info').map(({ fields }) => fields),
      [{ marks: 4_500 }],
    );
  });

  it('what has no retention is kept for ever', async () => {
    await order('old', 'COMPLETED', 300);
    await pruner(
      { retention, clock: { now: () => Date.now() }, log: recordingLog() },
      { keepMs: { events: DAY_MS }, readsLog: () => true },
    )();
    assert.deepEqual(await left('orders'), ['old']);
  });
});
