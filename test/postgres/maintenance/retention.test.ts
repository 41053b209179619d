/** Retention of events, marks and keys on a real Postgres, and idle cursors of an unused stream. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import type pg from 'pg';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresRetention } from '../../../internal/repository/postgres/maintenance/retention.ts';
import type { Retention } from '../../../internal/service/maintenance/ports.ts';
import { type PruneOptions, pruner } from '../../../internal/service/maintenance/prune.ts';
import { RELAY } from '../../../internal/service/stream/refused-records.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { freshDatabase } from '../../support/servers.ts';

const HOUR_MS = 3_600_000;
const WEEK_MS = 168 * HOUR_MS;
const onKafka = (consumer: string) => consumer === RELAY;
const onPostgres = (consumer: string) => consumer !== RELAY;

describe('retention', () => {
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
    await pool.query('TRUNCATE events, consumer_cursors, processed_events, idempotency_keys');
  });

  /** Appends an event that was stored `hoursAgo` hours ago. */
  async function event(orderId: string, hoursAgo: number): Promise<void> {
    await pool.query(
      `INSERT INTO events (event_id, event_type, order_id, record, stored_at)
       VALUES ($1, 'order.created', $2, '{}', now() - make_interval(hours => $3))`,
      [randomUUID(), orderId, hoursAgo],
    );
  }

  /** Sets a cursor, last moved `hoursAgo` hours ago, after the event of the order, or to the beginning. */
  async function cursor(consumer: string, orderId: string | undefined, hoursAgo: number): Promise<void> {
    await pool.query(
      `INSERT INTO consumer_cursors (consumer, transaction_id, position, moved_at)
       SELECT $1, coalesce(max(transaction_id::text), '0')::xid8, coalesce(max(position), 0), now() - make_interval(hours => $3)
       FROM events WHERE order_id = $2`,
      [consumer, orderId ?? '', hoursAgo],
    );
  }

  async function remaining(): Promise<string[]> {
    const { rows } = await pool.query('SELECT order_id FROM events ORDER BY transaction_id, position');
    return rows.map((row) => row.order_id);
  }

  async function cursors(): Promise<string[]> {
    const { rows } = await pool.query('SELECT consumer FROM consumer_cursors ORDER BY consumer');
    return rows.map((row) => row.consumer);
  }

  async function prune(readsLog: PruneOptions['readsLog']) {
    const log = recordingLog();
    const deps = { retention, clock: { now: () => Date.now() }, log };
    const keepMs = { events: WEEK_MS, marks: WEEK_MS, keys: WEEK_MS };
    await pruner(deps, { keepMs, readsLog })();
    return log;
  }

  it('only old events that every cursor has passed are deleted', async () => {
    const anyAge = Date.now() + HOUR_MS;
    await event('a', 0);
    await event('b', 0);
    await event('c', 0);
    assert.equal(
      await retention.prune('events', anyAge, 100),
      0,
      'a consumer that has no cursor yet may need all of them',
    );
    await cursor('fast', 'c', 0);
    await cursor('slow', undefined, 0);
    assert.equal(await retention.prune('events', anyAge, 100), 0);
    await pool.query(`DELETE FROM consumer_cursors WHERE consumer = 'slow'`);
    await cursor('slow', 'b', 0);
    assert.equal(
      await retention.prune('events', Date.now() - HOUR_MS, 100),
      0,
      'they are newer than the retention',
    );
    assert.equal(await retention.prune('events', anyAge, 100), 2);
    assert.deepEqual(await remaining(), ['c']);
  });

  it('old marks of processed events and old responses to idempotency keys are deleted', async () => {
    for (const [key, days] of [
      ['old', 8],
      ['young', 6],
    ] as const) {
      await pool.query(
        `INSERT INTO idempotency_keys (principal, operation, key, fingerprint, answer, created_at)
         VALUES ('p', 'o', $1, 'f', '{}', now() - make_interval(days => $2))`,
        [key, days],
      );
      await pool.query(
        `INSERT INTO processed_events (consumer, event_id, processed_at)
         VALUES ($1, gen_random_uuid(), now() - make_interval(days => $2))`,
        [key, days],
      );
    }
    await prune(onPostgres);
    assert.deepEqual((await pool.query('SELECT key FROM idempotency_keys')).rows, [{ key: 'young' }]);
    assert.deepEqual((await pool.query('SELECT consumer FROM processed_events')).rows, [
      { consumer: 'young' },
    ]);
  });

  it('after a move from Postgres to Kafka, idle cursors of consumers are removed, so that old events can be deleted', async () => {
    await event('old', 400);
    await event('new', 1);
    await cursor('payment-service.settle', undefined, 300);
    await cursor(RELAY, 'new', 0);
    await prune(onKafka);
    assert.deepEqual([await cursors(), await remaining()], [[RELAY], ['new']]);
  });

  it('after a move from Kafka to Postgres, the idle cursor of the relay is removed', async () => {
    await event('old', 400);
    await cursor('payment-service.settle', 'old', 0);
    await cursor(RELAY, undefined, 300);
    await prune(onPostgres);
    assert.deepEqual([await cursors(), await remaining()], [['payment-service.settle'], []]);
  });

  it('a cursor of the other stream is kept if it has moved within the retention time', async () => {
    await event('old', 400);
    await cursor('payment-service.settle', undefined, 100);
    await cursor(RELAY, 'old', 0);
    await prune(onKafka);
    assert.deepEqual([await cursors(), await remaining()], [[RELAY, 'payment-service.settle'], ['old']]);
  });

  it('an idle consumer of the current stream keeps its unread events, and a warning names the consumer', async () => {
    await event('old', 400);
    await cursor('query-service.views', undefined, 300);
    const log = await prune(onPostgres);
    assert.deepEqual([await cursors(), await remaining()], [['query-service.views'], ['old']]);
    const warning = log.lines.find(({ level }) => level === 'warn');
    assert.deepEqual(
      [warning?.message, warning?.fields.consumer, warning?.fields.idleHours],
      ['an idle consumer keeps the event log from being pruned', 'query-service.views', 300],
    );
  });

  it('a consumer that has read everything does not count as idle', async () => {
    await event('old', 400);
    await cursor('query-service.views', 'old', 300);
    const log = await prune(onPostgres);
    assert.deepEqual([log.lines.filter(({ level }) => level === 'warn'), await remaining()], [[], []]);
  });
});
