/** Settings that only the whole program applies: how long rows are kept, and the time limit of the order logic. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import pg from 'pg';
import { migrateDatabase } from '../../internal/repository/postgres/database.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

/** Three days old, where what is kept for a day is deleted. */
const OLD = `INSERT INTO orders (order_id, status, reason, total_amount, currency, due_at, created_at, updated_at, version,
    timeline, fingerprint)
  SELECT 'old', 'COMPLETED', 'NONE', 10, 'USD', at, at, at, 1, '[{}]', 'f' FROM (SELECT now() - interval '3 days' AS at);
  INSERT INTO payments (order_id, currency, state, requested, authorized, captured, refunded, authorization_id,
    requested_at, authorized_at, captured_at)
  SELECT 'gone', 'USD', 'CAPTURED', 10, 10, 10, 0, 'auth', at, at, at FROM (SELECT now() - interval '3 days' AS at);
  INSERT INTO notifications (order_id, template, state, recipient, variables, created_at, sent_at)
  SELECT 'gone', 't', 'SENT', '+1', '{}', at, at FROM (SELECT now() - interval '3 days' AS at);
  INSERT INTO dead_letters (consumer, event_id, order_id, topic, record, error, created_at)
  VALUES ('c', 'e', 'gone', 't', '{}', 'a fault', now() - interval '3 days')`;
const TABLES = ['orders', 'payments', 'notifications', 'dead_letters'];

describe('the settings of the whole program', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let pool: pg.Pool;
  let program: Program | undefined;

  beforeEach(async () => {
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    pool = new pg.Pool({ connectionString: database.url, max: 1 });
  });
  afterEach(async () => {
    await program?.kill();
    await pool.end();
    await Promise.all([database.drop(), redis.drop()]);
  });

  async function start(env: Record<string, string>, services: string[] = []): Promise<Program> {
    program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url, ...env }, services);
    return program;
  }
  async function filled(): Promise<string[]> {
    const found: string[] = [];
    for (const table of TABLES) {
      const { rows } = await pool.query(`SELECT count(*)::int AS count FROM ${table}`);
      if (rows[0].count > 0) found.push(table);
    }
    return found;
  }

  it('orders, payments, messages and dead letters are deleted after their days, and by default never', async () => {
    await migrateDatabase(database.url);
    await pool.query(OLD);
    await pool.query(`INSERT INTO idempotency_keys (principal, operation, key, fingerprint, answer, created_at)
      VALUES ('p', 'o', 'k', 'f', '{}', now() - interval '30 days')`);
    const keeping = await start({}, ['maintenance-service']);
    // It is deleted in the round that would delete the others.
    await until('a round', () =>
      keeping.log.some(({ msg }) => msg === 'rows were deleted after their retention'),
    );
    assert.deepEqual(await filled(), TABLES);
    await keeping.kill();
    const days = { ORDER_DAYS: '1', PAYMENT_DAYS: '1', MESSAGE_DAYS: '1', DEAD_LETTER_DAYS: '1' };
    await start({ ...days, RETENTION_HOURS: '1' }, ['maintenance-service']);
    await until('all to be deleted', async () => (await filled()).length === 0);
  });

  it('order logic that never ends is given up after its time limit, and called again', async () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-logic-'));
    const calls = path.join(dir, 'calls');
    const logic = path.join(dir, 'logic.mjs');
    fs.writeFileSync(
      logic,
      `import fs from 'node:fs';
       export default async () => { fs.appendFileSync(${JSON.stringify(calls)}, 'x'); await new Promise(() => {}); };`,
    );
    try {
      // Within the deadline a call of the default 10 s would not end.
      const env = { ORDER_LOGIC: logic, ORDER_LOGIC_TIMEOUT_MS: '100', DEADLINE_PROCESSING_S: '8' };
      const { url } = await start(env);
      await request('POST', `${url}/orders`, { id: 'stuck', customer_name: 'Asha', total_price: 5 });
      await reaches(url, 'stuck', 'FAILED');
      assert.ok(fs.readFileSync(calls, 'utf8').length > 1);
    } finally {
      fs.rmSync(dir, { recursive: true });
    }
  });
});
