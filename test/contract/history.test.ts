/** The history of orders in Postgres and in Cassandra, and in both after a change from one to the other. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import cassandra from 'cassandra-driver';
import { isTransient } from '../../internal/domain/errors.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import { type Cassandra, openCassandra } from '../../internal/repository/cassandra/connection.ts';
import { cassandraHistory } from '../../internal/repository/cassandra/order-history.ts';
import { migrateDatabase, openPool } from '../../internal/repository/postgres/database.ts';
import { postgresHistory } from '../../internal/repository/postgres/views/order-history.ts';
import { withEarlier } from '../../internal/service/views/earlier-history.ts';
import { type OwnCassandra, startOwnCassandra, whyNoCassandra } from '../support/cassandra.ts';
import { type Authority, authority } from '../support/certificates.ts';
import { recordingLog } from '../support/recording-log.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { happened, historyContract, NOW, type OpenStore } from './history.ts';

const DAY_MS = 86_400_000;
const clock = { now: () => NOW };

async function openInPostgres(): Promise<OpenStore> {
  const database = await freshDatabase();
  await migrateDatabase(database.url);
  const pool = openPool(database.url, { max: 4, onError: () => {} });
  return {
    history: postgresHistory(pool),
    async close() {
      await pool.end();
      await database.drop();
    },
  };
}

/** Also those of tests that failed, which would keep this process from ending. */
const opened: Cassandra[] = [];

function openInCassandra(url: string, keepMs = 400 * DAY_MS) {
  const store = openCassandra(url, recordingLog());
  opened.push(store);
  return { history: cassandraHistory(store, { clock, keepMs }), close: store.close };
}

historyContract('Postgres', openInPostgres);

const skip = (await whyNoCassandra()) ?? false;
let shared: Promise<OwnCassandra> | undefined;
const node = () => (shared ??= startOwnCassandra());
after(async () => {
  await Promise.all(opened.map((store) => store.close()));
  await (await shared)?.stop();
});

historyContract('Cassandra', async () => openInCassandra((await node()).url()), skip);

historyContract(
  'Cassandra, with what Postgres has from before',
  async () => {
    const [late, early] = [openInCassandra((await node()).url()), await openInPostgres()];
    return {
      history: withEarlier(late.history, early.history),
      close: async () => void (await Promise.all([late.close(), early.close()])),
    };
  },
  skip,
);

describe('the store in Cassandra', { skip, timeout: 180_000 }, () => {
  const order = 'o' as OrderId;

  it('an entry expires at the end of its retention, counted from its event, also after it was rewritten', async () => {
    const url = (await node()).url();
    const { history, close } = openInCassandra(url, DAY_MS);
    await history.append([happened('o', NOW), happened('o', NOW - DAY_MS / 2), happened('o', NOW - DAY_MS)]);
    assert.equal((await history.of(order, 9)).length, 2, 'an event past its retention is not stored');
    await history.rewrite([order], () => ({ reason: 'erased' }));
    const client = new cassandra.Client({
      contactPoints: [(await node()).address],
      localDataCenter: 'datacenter1',
    });
    const keyspace = /(test_\w+)/.exec(url)?.[0];
    const { rows } = await client.execute(
      `SELECT TTL(payload) AS ttl, TTL(producer) AS other FROM ${keyspace}.order_history`,
    );
    for (const [n, seconds] of [86_400, 43_200].entries())
      for (const ttl of [rows[n]?.ttl, rows[n]?.other])
        assert.ok(ttl <= seconds && ttl > seconds - 60, `${ttl}`);
    await client.shutdown();
    await close();
  });

  it('a retention beyond what Cassandra can store is cut to it', async () => {
    const { history, close } = openInCassandra((await node()).url(), 36_500 * DAY_MS);
    await history.append([happened('o', NOW)]);
    assert.equal((await history.of(order, 9)).length, 1);
    await close();
  });

  it('several processes that start at the same moment make one table', async () => {
    const url = (await node()).url();
    const stores = Array.from({ length: 4 }, () => openInCassandra(url));
    const append = async ({ history }: (typeof stores)[number], n: number) => {
      const event = happened('o', NOW + n);
      // A node may deny for a moment that the table is there, which passes.
      await until('the event to be appended', () =>
        history.append([event]).then(
          () => true,
          (error) => {
            if (isTransient(error)) return false;
            throw error;
          },
        ),
      );
    };
    await Promise.all(stores.map(append));
    for (const { history } of stores) assert.equal((await history.of(order, 9)).length, 4);
    await Promise.all(stores.map(({ close }) => close()));
  });

  it('from two stores the newest entries are returned once each, in the order of time', async () => {
    const [late, early] = [openInCassandra((await node()).url()), await openInPostgres()];
    const events = [1, 2, 3, 4].map((n) => happened('o', NOW + n));
    await early.history.append(events.slice(0, 3));
    await late.history.append(events.slice(2));
    const both = withEarlier(late.history, early.history);
    const ids = (await both.of(order, 3)).map(({ eventId }) => eventId);
    assert.deepEqual(
      ids,
      events.slice(1).map(({ eventId }) => eventId),
    );
    await Promise.all([late.close(), early.close()]);
  });

  it('a data centre that the cluster does not have is a fault that passes, and readiness names it', async () => {
    const { history, close } = openInCassandra((await node()).url().replace('=datacenter1', '=elsewhere'));
    for (let times = 0; times < 2; times++)
      await assert.rejects(history.append([happened('o', NOW)]), { code: 'UNAVAILABLE' });
    assert.match((await history.fault()) ?? '', /elsewhere.*datacenter1/);
    await close();
  });

  it('a value that no server takes is a fault of its own, and the store is not taken for unreachable', async () => {
    const { history, close } = openInCassandra((await node()).url());
    const wrong = { ...happened('o', NOW), orderId: '' };
    await assert.rejects(history.append([wrong]), (error: Error) => error.name !== 'TiffinError');
    assert.equal(await history.fault(), undefined);
    await close();
  });
});

describe('Cassandra with TLS and logins', { skip, timeout: 180_000 }, () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'tiffin-cassandra-tls-'));
  let secure: OwnCassandra;
  let signer: Authority;

  before(async () => {
    signer = authority(dir, 'authority');
    secure = await startOwnCassandra({ login: true, keyAndCertificate: signer.sign('node').both });
  });
  after(async () => {
    await secure.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  /** What readiness says of a store with this login and these parameters. */
  async function faultWith(login: string, parameters: string): Promise<string | undefined> {
    const { history, close } = openInCassandra(secure.url().replace('://', `://${login}`) + parameters);
    return history.fault().finally(close);
  }

  it('the right authority and login are let in, a wrong one is refused with its reason', async () => {
    const tls = `&sslrootcert=${signer.file}`;
    await until(
      'the node to have its first user',
      async () => !(await faultWith('cassandra:cassandra@', tls)),
    );
    assert.equal(await faultWith('cassandra:cassandra@', `${tls}&sslmode=verify-ca`), undefined);
    assert.match((await faultWith('cassandra:wrong@', tls)) ?? '', /password are incorrect/);
    const other = authority(dir, 'other').file;
    assert.match((await faultWith('cassandra:cassandra@', `&sslrootcert=${other}`)) ?? '', /certificate/);
  });
});
