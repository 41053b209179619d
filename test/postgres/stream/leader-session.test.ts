/** The session that elects readers: one connection at a time, whose locks pass on when it or its process falls silent. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import pg from 'pg';
import { leaderSession } from '../../../internal/repository/postgres/stream/leader-session.ts';
import { proxyTo } from '../../support/proxy.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

const LISTENERS = `SELECT pid FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'tiffin listener'`;

describe('the session that elects readers', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let admin: pg.Client;
  const opened: ReturnType<typeof leaderSession>[] = [];

  beforeEach(async () => {
    database = await freshDatabase();
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((session) => session.close()));
    await admin.end();
    await database.drop();
  });

  function open(url = database.url) {
    const session = leaderSession(url, recordingLog(), { onNotify() {}, onSilenceOver() {} });
    opened.push(session);
    return session;
  }
  const leads = (session: ReturnType<typeof open>) => session.lead('reader').catch(() => false);
  async function connections(): Promise<number> {
    return (await admin.query(LISTENERS)).rows.length;
  }
  /** A session opens a connection when it is asked to lead. */
  const settles = (session: ReturnType<typeof open>) =>
    until('one connection, which leads', async () => (await leads(session)) && (await connections()) === 1);
  const terminate = () =>
    admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'tiffin listener'`,
    );

  it('one process leads at a time, and another one takes over when it resigns', async () => {
    const [one, other] = [open(), open()];
    assert.deepEqual([await leads(one), await leads(other), await leads(one)], [true, false, true]);
    await one.resign('reader');
    assert.deepEqual([await leads(other), await leads(one)], [true, false]);
  });

  it('a process that has nothing to say is still heard by the server, and keeps its connection', async () => {
    const session = open();
    assert.equal(await leads(session), true);
    const { rows: before } = await admin.query(LISTENERS);
    // Longer than the server waits for a word.
    await until('the connection to be six seconds old', async () => {
      const { rows } = await admin.query(`${LISTENERS} AND backend_start < now() - interval '6 s'`);
      return rows.length > 0;
    });
    assert.deepEqual((await admin.query(LISTENERS)).rows, before);
  });

  it('a connection that the server ends is replaced by exactly one, which holds the locks', async () => {
    const session = open();
    for (let round = 0; round < 10; round += 1) {
      assert.equal(await until('leading', () => leads(session)), true);
      const asking = Array.from({ length: 5 }, (_, n) => session.lead(`other-${round}-${n}`).catch(() => {}));
      await terminate();
      await Promise.all(asking);
      await until('leading again', () => leads(session));
    }
    await settles(session);
    const other = open();
    assert.equal(await leads(other), false, 'the locks are held');
    await session.close();
    await until('another process to lead', () => leads(other), 5_000);
  });

  it('a late event of a lost connection takes nothing from the one that replaced it', async () => {
    const proxy = await proxyTo(database.url);
    try {
      const session = open(proxy.url);
      await until('leading', () => leads(session));
      proxy.silence();
      await terminate();
      // The first connection hears nothing of its end, and finds out by its heartbeat.
      await settles(session);
      await until('leading again', () => leads(session));
      await proxy.cut();
      await proxy.restore();
      await settles(session);
    } finally {
      await proxy.close();
    }
  });

  it('another process takes over within five seconds when the leader sends nothing any more', async () => {
    const proxy = await proxyTo(database.url);
    try {
      const [silent, other] = [open(proxy.url), open()];
      assert.deepEqual([await leads(silent), await leads(other)], [true, false]);
      proxy.silence();
      // The silent one may open a new connection: it asks again only once it has lost this one.
      await until('the other one to lead', () => leads(other), 5_000);
    } finally {
      await proxy.close();
    }
  });

  it('a server that falls silent and answers again is noticed, over a connection that was begun meanwhile', async () => {
    const proxy = await proxyTo(database.url);
    try {
      const silences: number[] = [];
      const session = leaderSession(proxy.url, recordingLog(), {
        onNotify() {},
        onSilenceOver: (since) => silences.push(since),
      });
      opened.push(session);
      await until('leading', () => leads(session));
      assert.deepEqual(silences, []);
      const began = performance.now();
      proxy.vanish();
      await until('the session to be lost', async () => !(await leads(session)), 10_000);
      proxy.reappear(true);
      await until('leading again', () => leads(session), 10_000);
      assert.equal(silences.length, 1);
      assert.ok(silences[0]! > began && silences[0]! < performance.now());
      await terminate();
      await settles(session);
      assert.equal(silences.length, 1, 'a connection that the server ended was not silent');
    } finally {
      await proxy.close();
    }
  });
});
