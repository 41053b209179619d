/** Listens for appended events, and elects the process that reads for a consumer by an advisory lock. */
import type pg from 'pg';
import type { Log } from '../../../service/ports.ts';
import { clientsTo, destroy } from '../client.ts';
import { asTransient, isLost } from '../database.ts';

export const CHANNEL = 'tiffin_events';
const HEARTBEAT_MS = 2_000;
/** The driver knows a time limit of one query; its types do not. */
const HEARTBEAT: pg.QueryConfig & { query_timeout: number } = {
  text: 'SELECT 1',
  query_timeout: HEARTBEAT_MS,
};
/** First key of the advisory locks on consumers. */
const LEADER_LOCK = 7_337_002;

/**
 * One connection outside the pool listens for appended events, and holds the locks that make this process the reader for
 * a consumer. If the connection is lost, Postgres releases the locks and another process takes over.
 */
export function leaderSession(url: string, onNotify: () => void, log: Log) {
  const Client = clientsTo(url, { config: { application_name: 'tiffin listener' } });
  const held = new Set<string>();
  let connecting: Promise<pg.Client> | undefined;
  /** Runs one query at a time on the connection. */
  let previous: Promise<unknown> = Promise.resolve();

  async function open(): Promise<pg.Client> {
    const client = new Client();
    // Only a query shows that a silent connection is dead.
    const heartbeat = setInterval(() => {
      previous = previous
        .then(() => client.query(HEARTBEAT))
        .catch((error: Error) => {
          if (isLost(error)) destroy(client);
        });
    }, HEARTBEAT_MS);
    const forget = (error?: Error) => {
      clearInterval(heartbeat);
      if (error) log.warn({ error: error.message }, 'the listening connection was lost');
      connecting = undefined;
      held.clear();
    };
    client.on('error', forget);
    client.on('end', () => forget());
    client.on('notification', onNotify);
    await client.connect();
    await client.query(`LISTEN ${CHANNEL}`);
    return client;
  }

  function session(): Promise<pg.Client> {
    connecting ??= open().catch((error) => {
      connecting = undefined;
      throw asTransient(error);
    });
    return connecting;
  }

  function lock(
    operation: 'pg_try_advisory_lock' | 'pg_advisory_unlock',
    consumer: string,
  ): Promise<boolean> {
    const answer = previous.then(async () => {
      const client = await session();
      const { rows } = await client.query(`SELECT ${operation}($1, hashtext($2)) AS done`, [
        LEADER_LOCK,
        consumer,
      ]);
      return rows[0].done as boolean;
    });
    previous = answer.catch(() => {});
    return answer;
  }

  return {
    async lead(consumer: string): Promise<boolean> {
      if (held.has(consumer)) return true;
      try {
        const leads = await lock('pg_try_advisory_lock', consumer);
        if (leads) held.add(consumer);
        return leads;
      } catch (error) {
        throw asTransient(error);
      }
    },
    async resign(consumer: string): Promise<void> {
      if (held.delete(consumer)) await lock('pg_advisory_unlock', consumer).catch(() => false);
    },
    async close(): Promise<void> {
      const client = await connecting?.catch(() => undefined);
      await client?.end().catch(() => {});
    },
  };
}
