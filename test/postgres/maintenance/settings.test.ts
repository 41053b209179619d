/** The settings of retention: each one deletes what it names and nothing else, in the service as it is wired. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import pg from 'pg';
import { readConfig } from '../../../cmd/config.ts';
import { maintenanceService } from '../../../cmd/services/maintenance-service.ts';
import { type Wiring, wire } from '../../../cmd/wire.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { freshDatabase, freshRedis } from '../../support/servers.ts';

/** Rows of three days ago; of the history 100 days. */
const OLD = `
  INSERT INTO orders (order_id, status, reason, total_amount, currency, due_at, created_at, updated_at, version,
    timeline, fingerprint)
  SELECT 'old', 'COMPLETED', 'NONE', 10, 'USD', at, at, at, 1, '[{}]', 'f' FROM (SELECT now() - interval '3 days' AS at);
  INSERT INTO payments (order_id, currency, state, requested, authorized, captured, refunded, authorization_id,
    requested_at, authorized_at, captured_at)
  SELECT 'gone', 'USD', 'CAPTURED', 10, 10, 10, 0, 'auth', at, at, at FROM (SELECT now() - interval '3 days' AS at);
  INSERT INTO notifications (order_id, template, state, recipient, variables, created_at, sent_at)
  SELECT 'gone', 't', 'SENT', '+1', '{}', at, at FROM (SELECT now() - interval '3 days' AS at);
  INSERT INTO dead_letters (consumer, event_id, order_id, topic, record, error, created_at)
  VALUES ('c', 'e', 'gone', 't', '{}', 'a fault', now() - interval '3 days');
  INSERT INTO processed_events (consumer, event_id, processed_at)
  VALUES ('c', gen_random_uuid(), now() - interval '3 days');
  INSERT INTO idempotency_keys (principal, operation, key, fingerprint, answer, created_at)
  VALUES ('p', 'o', 'k', 'f', '{}', now() - interval '3 days');
  INSERT INTO events (event_id, event_type, order_id, record, stored_at)
  VALUES (gen_random_uuid(), 'order.created', 'gone', '{}', now() - interval '3 days');
  INSERT INTO consumer_cursors (consumer, transaction_id, position)
  SELECT 'c', transaction_id, position FROM events;
  INSERT INTO order_history (order_id, at, event_id, event_type, producer, payload)
  VALUES ('gone', now() - interval '100 days', gen_random_uuid(), 't', 'p', '{}')`;
const TABLES = [
  'orders',
  'payments',
  'notifications',
  'dead_letters',
  'processed_events',
  'idempotency_keys',
  'events',
  'order_history',
];
const DAYS = { ORDER_DAYS: '1', PAYMENT_DAYS: '1', MESSAGE_DAYS: '1', DEAD_LETTER_DAYS: '1' };
const DELETED: readonly [settings: Record<string, string>, ...tables: string[]][] = [
  [{}],
  [{ ORDER_DAYS: '1', RETENTION_HOURS: '1' }, 'orders', 'processed_events', 'idempotency_keys', 'events'],
  [{ ORDER_DAYS: '4', RETENTION_HOURS: '1' }, 'processed_events', 'idempotency_keys', 'events'],
  // The payments of orders that are kept for ever are kept for ever.
  [{ PAYMENT_DAYS: '1', RETENTION_HOURS: '71' }, 'processed_events', 'idempotency_keys', 'events'],
  [
    { PAYMENT_DAYS: '1', ORDER_DAYS: '9', RETENTION_HOURS: '71' },
    ...['payments', 'processed_events', 'idempotency_keys', 'events'],
  ],
  [
    { MESSAGE_DAYS: '1', RETENTION_HOURS: '71' },
    ...['notifications', 'processed_events', 'idempotency_keys', 'events'],
  ],
  [
    { DEAD_LETTER_DAYS: '1', RETENTION_HOURS: '71' },
    ...['dead_letters', 'processed_events', 'idempotency_keys', 'events'],
  ],
  // Nothing is kept for less than the events.
  [{ ...DAYS, RETENTION_HOURS: '73' }],
  [{ HISTORY_DAYS: '99' }, 'order_history'],
];

describe('the settings of retention', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let servers: { DATABASE_URL: string; REDIS_URL: string };
  let wiring: Wiring;
  let admin: pg.Client;

  before(async () => {
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    servers = { DATABASE_URL: database.url, REDIS_URL: redis.url };
    wiring = await wire({ ...readConfig(servers), ...servers }, recordingLog());
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
  });
  after(async () => {
    await Promise.all([wiring.close(), admin.end()]);
    await Promise.all([database.drop(), redis.drop()]);
  });
  beforeEach(async () => {
    await admin.query(`TRUNCATE consumer_cursors, ${TABLES.join()}`);
    await admin.query(OLD);
  });

  async function emptyTables(): Promise<string[]> {
    const isEmpty = async (table: string) =>
      (await admin.query(`SELECT FROM ${table} LIMIT 1`)).rows.length === 0;
    const found: string[] = [];
    for (const table of TABLES) if (await isEmpty(table)) found.push(table);
    return found;
  }

  for (const [settings, ...tables] of DELETED)
    it(`with ${JSON.stringify(settings)} old rows are deleted from ${tables.join(', ') || 'no table'}`, async () => {
      const config = { ...readConfig(settings), ...servers };
      const loops = maintenanceService({ ...wiring, config }).loops?.() ?? [];
      // A loop that is stopped ends its first round.
      await Promise.all(loops.map((loop) => loop.stop()));
      assert.deepEqual(await emptyTables(), tables);
    });
});
