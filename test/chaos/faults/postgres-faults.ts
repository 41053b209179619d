/** Faults of Postgres, and of what others do in it. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { type FaultKind, faultKind, outage } from '../fault.ts';

const CUTTING_MS = 3_000;
const LATE_MS = 4_000;
const CANCEL_EVERY_MS = 100;
const LONGEST_TRANSACTION = '15ms';
const OF_OTHERS = 'datname = current_database() AND pid <> pg_backend_pid()';

/** With a session of its own, past the proxy. */
async function onDatabase(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  await work(client).finally(() => client.end());
}

/** Changes a setting of the database; every session of others ends, so that it counts for all. */
async function setForAll(url: string, setting: string): Promise<void> {
  await onDatabase(url, async (client) => {
    await client.query('SET transaction_timeout = 0; SET default_transaction_read_only = off');
    await client.query(`ALTER DATABASE ${client.escapeIdentifier(client.database ?? '')} ${setting}`);
    await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${OF_OTHERS}`);
  });
}

/** An event as it is appended by a transaction that stays open: it has an id, and is not seen by readers. */
const APPEND =
  "INSERT INTO events (event_type, order_id, topic, record) VALUES ('record', 'stranger', 'strange', '{}')";

export const FULL_DISK = "Postgres's disk is full";

export const POSTGRES_FAULTS: readonly FaultKind[] = [
  faultKind({
    kind: 'Postgres restarted',
    details: (random) => ({ signal: random.oneOf(['SIGINT', 'SIGQUIT'] as const), ms: outage(random) }),
    async cause({ servers: { postgres } }, { signal, ms }) {
      await postgres.stop(signal);
      await pause(ms);
      await postgres.start();
    },
  }),
  faultKind({
    kind: 'Postgres read-only',
    details: (random) => ({ ms: outage(random) }),
    // As a failover to a standby, and back.
    async cause({ servers: { databaseUrl } }, { ms }) {
      await setForAll(databaseUrl, 'SET default_transaction_read_only = on');
      await pause(ms);
      await setForAll(databaseUrl, 'RESET default_transaction_read_only');
    },
  }),
  faultKind({
    kind: 'Postgres ends long transactions',
    details: (random) => ({ ms: outage(random) }),
    async cause({ servers: { databaseUrl } }, { ms }) {
      await setForAll(databaseUrl, `SET transaction_timeout = '${LONGEST_TRANSACTION}'`);
      await pause(ms);
      await setForAll(databaseUrl, 'RESET transaction_timeout');
    },
  }),
  faultKind({
    kind: 'Postgres cancels statements',
    details: (random) => ({ ms: outage(random) }),
    cause: ({ servers: { databaseUrl } }, { ms }) =>
      onDatabase(databaseUrl, async (client) => {
        for (const end = performance.now() + ms; performance.now() < end; await pause(CANCEL_EVERY_MS))
          await client.query(
            `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state <> 'idle' AND ${OF_OTHERS}`,
          );
      }),
  }),
  faultKind({
    kind: FULL_DISK,
    details: (random) => ({ what: random.oneOf(['tables', 'log'] as const), ms: outage(random) }),
    async cause({ servers: { postgres, databaseUrl } }, { what, ms }) {
      postgres.disk?.fill();
      // A new file of the write-ahead log cannot be made: the server ends.
      if (what === 'log')
        await onDatabase(databaseUrl, async (client) => {
          await client.query(`SELECT pg_logical_emit_message(true, 'full', '')`);
          await client.query('SELECT pg_switch_wal()');
        }).catch(() => {});
      await pause(ms);
      postgres.disk?.free();
      await postgres.revive();
    },
  }),
  faultKind({
    kind: 'connections cut after COMMIT',
    details: (random) => ({ times: 3 + random.below(8) }),
    async cause({ servers }, { times }) {
      servers.proxies.postgres?.cutAfter(/commit\0|place-orders/i, times);
      await pause(CUTTING_MS);
      servers.proxies.postgres?.cutAfter(undefined);
    },
  }),
  faultKind({
    kind: 'transactions commit late',
    details: (random) => ({ byMs: 500 + random.below(2_000) }),
    async cause({ servers }, { byMs }) {
      servers.proxies.postgres?.holdBack(/commit\0/i, byMs);
      await pause(LATE_MS);
      servers.proxies.postgres?.holdBack(undefined, 0);
    },
  }),
  faultKind({
    kind: "a stranger's transaction in this database",
    details: (random) => ({ form: random.oneOf(['open', 'prepared'] as const), ms: outage(random) }),
    cause: ({ servers: { databaseUrl } }, { form, ms }) =>
      onDatabase(databaseUrl, async (client) => {
        await client.query('BEGIN');
        await client.query(APPEND);
        if (form === 'prepared') await client.query("PREPARE TRANSACTION 'stranger'");
        await pause(ms);
        await client.query(form === 'prepared' ? "ROLLBACK PREPARED 'stranger'" : 'ROLLBACK');
      }),
  }),
  faultKind({
    kind: 'a forgotten transaction in another database',
    // It stays to the end of the run.
    cause: async ({ servers: { postgres } }) =>
      onDatabase(await postgres.another('elsewhere'), async (client) => {
        await client.query('BEGIN');
        await client.query('SELECT pg_current_xact_id()');
        await client.query(`PREPARE TRANSACTION 'forgotten-${crypto.randomUUID()}'`);
      }),
  }),
];
