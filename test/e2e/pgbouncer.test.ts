/** Tiffin with its queries through a real PgBouncer in transaction mode. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { SESSION } from '../../internal/repository/postgres/client.ts';
import { placeOrders } from '../support/order-client.ts';
import { assertEachCompletedOnce, countUnfinished } from '../support/orders.ts';
import { startPgbouncer, whyNoPgbouncer } from '../support/pgbouncer.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

describe('Tiffin behind PgBouncer', { skip: whyNoPgbouncer() ?? false, timeout: 120_000 }, () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let pgbouncer: Awaited<ReturnType<typeof startPgbouncer>>;

  before(async () => {
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    pgbouncer = await startPgbouncer(database.url);
  });
  after(async () => {
    await pgbouncer.stop();
    await Promise.all([database.drop(), redis.drop()]);
  });

  it('a start without DATABASE_DIRECT_URL fails with one sentence that asks for it', async () => {
    const { code, stderr } = await runProgram({ DATABASE_URL: pgbouncer.url, REDIS_URL: redis.url });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^tiffin: \S+ is a connection pooler such as PgBouncer; set DATABASE_DIRECT_URL [^\n]+\n$/,
    );
  });

  it('orders of many clients are placed, dispatched and completed once each', async () => {
    const env = { DATABASE_URL: pgbouncer.url, DATABASE_DIRECT_URL: database.url, REDIS_URL: redis.url };
    const programs = await Promise.all([startProgram(env), startProgram(env)]);
    const client = placeOrders(() => programs[randomInt(2)]!.url, {
      prefix: 'p',
      lanes: 8,
      dueInMs: () => (randomInt(2) ? randomInt(1_000) : undefined),
    });
    await until('orders to be placed', () => client.acknowledged.length > 300);
    await client.stop();
    await until('every order to be completed', async () => (await countUnfinished(database.url)) === 0);
    await assertEachCompletedOnce(database.url, client.acknowledged);
    for (const { log } of programs)
      assert.deepEqual(
        log.filter(({ level }) => level === 'error' || level === 'fatal'),
        [],
      );
    await Promise.all(programs.map((program) => program.stop()));
  });

  it('the sessions behind PgBouncer have the time limits of Tiffin', async () => {
    const client = new pg.Client({ connectionString: pgbouncer.url });
    await client.connect();
    // A session that PgBouncer opened before the first start of Tiffin keeps its settings until it is closed.
    await until('a session with the settings', async () => {
      const wanted = { ...SESSION, enable_seqscan: 'off' };
      const { rows } = await client.query('SELECT name, setting FROM pg_settings WHERE name = ANY($1)', [
        Object.keys(wanted),
      ]);
      const found = Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
      return Object.entries(wanted).every(([name, value]) => found[name] === String(value));
    });
    await client.end();
  });
});
