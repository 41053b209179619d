/** The horizon of the event log on a real Postgres: only transactions of this database hold it, and no event is ever skipped. */
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import {
  appendEvents,
  type PostgresEventLog,
  postgresEventLog,
} from '../../../internal/repository/postgres/stream/event-log.ts';
import {
  horizonOf,
  openTransactions,
  secondsOpen,
} from '../../../internal/repository/postgres/stream/horizon.ts';
import type { LogPosition } from '../../../internal/service/ports.ts';
import { processingEvent } from '../../support/builders.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

const FILTER = { topics: new Set(['raw.order-events']), types: new Set(['order.processing']) };
const WRITERS = 8;
const EACH = 60;

describe('the horizon of the event log', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let other: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  let eventLog: PostgresEventLog;

  before(async () => {
    [database, other] = await Promise.all([freshDatabase(), freshDatabase()]);
    await migrateDatabase(database.url);
    pool = openPool(database.url, { max: WRITERS + 2, onError() {} });
    eventLog = postgresEventLog(pool, database.url, recordingLog());
  });
  after(async () => {
    await eventLog.close();
    await pool.end();
    await Promise.all([database.drop(), other.drop()]);
  });

  /** Runs work while a transaction that has written is open in the database at this URL. */
  async function whileOpen(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
    const client = new pg.Client({ connectionString: url, application_name: 'slow writer' });
    await client.connect();
    try {
      await client.query('CREATE TABLE IF NOT EXISTS elsewhere (n integer)');
      await client.query('BEGIN');
      await client.query('INSERT INTO elsewhere VALUES (1)');
      await work(client);
      await client.query('ROLLBACK');
    } finally {
      await client.end();
    }
  }
  const read = async (from: LogPosition) => (await eventLog.read(from, FILTER, 10_000)).deliveries;

  it('a transaction that is open in another database holds back nothing', async () => {
    const from = await horizonOf(pool);
    await whileOpen(other.url, async () => {
      await eventLog.append([processingEvent('order', randomUUID())]);
      await until('the event to be read', async () => (await read(from)).length === 1);
    });
  });

  it('a transaction that is open in this database holds back later events, and is named', async () => {
    const from = await horizonOf(pool);
    await whileOpen(database.url, async () => {
      await eventLog.append([processingEvent('order', randomUUID())]);
      const page = await eventLog.read(from, FILTER, 10);
      assert.deepEqual([page.deliveries, page.held], [[], true]);
      const [oldest] = await openTransactions(pool);
      assert.equal(oldest?.holder, 'slow writer');
    });
    await until('the event to be read', async () => (await read(from)).length === 1);
  });

  it('of several transactions of one program the figure is that of the oldest', async () => {
    await whileOpen(database.url, () =>
      whileOpen(database.url, async () => {
        const open = await openTransactions(pool);
        const [first, second] = open.map(({ since }) => since) as [number, number];
        assert.deepEqual([open.length, first < second], [2, true]);
        assert.deepEqual(secondsOpen(open, second), new Map([['slow writer', (second - first) / 1_000]]));
      }),
    );
  });

  it('a role that may not see the sessions of other roles is held back by every transaction of the server', async () => {
    const role = `limited_${randomUUID().slice(0, 8)}`;
    await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'limited'`);
    const url = new URL(database.url);
    url.username = role;
    url.password = 'limited';
    const limited = openPool(url.href, { max: 1, onError() {} });
    try {
      await whileOpen(other.url, async (client) => {
        const { rows } = await client.query('SELECT pg_current_xact_id()::text AS id');
        await pool.query('SELECT pg_current_xact_id()'); // a later transaction, which ends
        assert.equal(BigInt((await horizonOf(limited)).transactionId) <= BigInt(rows[0].id), true);
        assert.equal(BigInt((await horizonOf(pool)).transactionId) > BigInt(rows[0].id), true);
      });
    } finally {
      await limited.end();
      await pool.query(`DROP ROLE ${role}`);
    }
  });

  it('a reader that follows the horizon gets every event of concurrent writers once', {
    timeout: 120_000,
  }, async () => {
    const from = await horizonOf(pool);
    const committed = new Set<string>();
    let writing = WRITERS;
    const write = async (writer: number) => {
      for (let n = 0; n < EACH; n++) {
        const client = await pool.connect();
        await client.query('BEGIN');
        // Some transactions have their id long before they append, some append at once, some are rolled back.
        if (randomInt(2)) await client.query('SELECT pg_current_xact_id()');
        if (randomInt(3) === 0) await client.query('SELECT pg_sleep($1)', [randomInt(20) / 1_000]);
        if (randomInt(3) === 0) await client.query('SAVEPOINT s');
        const ids = Array.from({ length: 1 + randomInt(3) }, () => randomUUID());
        await appendEvents(
          client,
          ids.map((id) => processingEvent(`order-${writer}`, id)),
        );
        if (randomInt(4) === 0) await client.query('SELECT pg_sleep($1)', [randomInt(20) / 1_000]);
        const commits = randomInt(5) > 0;
        await client.query(commits ? 'COMMIT' : 'ROLLBACK');
        client.release();
        if (commits) for (const id of ids) committed.add(id);
      }
      writing -= 1;
    };
    const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    const seen: string[] = [];
    let at: LogPosition = from;
    await until('all to be read', async () => {
      const page = await eventLog.read(at, FILTER, 50);
      at = page.to;
      for (const { record } of page.deliveries) seen.push((record as { eventId: string }).eventId);
      return writing === 0 && seen.length >= committed.size && !page.full && !page.held;
    });
    await writers;
    assert.equal(new Set(seen).size, seen.length, 'no event is read twice');
    assert.deepEqual([...seen].sort(), [...committed].sort());
  });
});
