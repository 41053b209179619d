/** Listens for appended events, and elects the process that reads for a consumer by an advisory lock. */
import type pg from 'pg';
import type { Log } from '../../../service/ports.ts';
import { within } from '../../../service/time-limit.ts';
import { CONNECT_LIMIT_MS, clientsTo, destroy } from '../client.ts';
import { asTransient, isLost } from '../database.ts';

export const CHANNEL = 'tiffin_events';
const HEARTBEAT_MS = 1_000;
/**
 * The server ends a session that sends nothing for this time, because its process is stopped or its host has vanished;
 * the locks pass on. Long enough for a heartbeat that waits for its time limit. (PostgreSQL 14 or later.)
 */
const SILENCE_LIMIT_MS = 3_500;
/** The driver knows a time limit of one query; its types do not. */
const HEARTBEAT: pg.QueryConfig & { query_timeout: number } = { text: 'SELECT 1', query_timeout: 2_000 };
/** While the server does not answer, another attempt to connect begins this often: one from before it was back may never be answered. */
const ATTEMPT_EVERY_MS = 1_000;
/** A connection that does not answer to its end is dropped after this time. */
const CLOSE_LIMIT_MS = 1_000;
/** First key of the advisory locks on consumers. */
const LEADER_LOCK = 7_337_002;

export interface SessionEvents {
  /** Events were appended, or may have been. */
  readonly onNotify: () => void;
  /** A server that did not answer does so again, over a new connection; `since` is when that was noticed, `performance.now`. */
  readonly onSilenceOver: (since: number) => void;
}

/** One connection, and the consumers whose locks it holds. */
interface Session {
  readonly client: pg.Client;
  readonly held: Set<string>;
}

/**
 * One connection outside the pool listens for appended events, and holds the locks that make this process the reader for
 * a consumer. If the connection is lost, Postgres releases the locks and another process takes over.
 */
export function leaderSession(url: string, log: Log, { onNotify, onSilenceOver }: SessionEvents) {
  const Client = clientsTo(url, {
    session: { idle_session_timeout: SILENCE_LIMIT_MS },
    config: { application_name: 'tiffin listener' },
  });
  let current: Session | undefined;
  let connecting: Promise<Session> | undefined;
  let silentSince: number | undefined;
  let isClosed = false;
  /** Runs one query at a time on the connection. */
  let previous: Promise<unknown> = Promise.resolve();

  /** Takes the first attempt that succeeds; rejects when one has failed and none is under way. */
  function open(): Promise<Session> {
    return new Promise((resolve, reject) => {
      let underWay = 0;
      let isTaken = false;
      const take = () => {
        if (isTaken || isClosed) return false;
        isTaken = true;
        return true;
      };
      const begin = async () => {
        underWay += 1;
        try {
          resolve(await attempt(take));
          clearInterval(again);
        } catch (error) {
          underWay -= 1;
          if (isSilence(error)) silentSince ??= performance.now();
          if (underWay > 0 && !isClosed) return;
          clearInterval(again);
          reject(error);
        }
      };
      const again = setInterval(begin, ATTEMPT_EVERY_MS).unref();
      void begin();
    });
  }

  async function attempt(take: () => boolean): Promise<Session> {
    const client = new Client();
    const session: Session = { client, held: new Set() };
    let isBeating = false;
    let isOver = false;
    // Only a query shows that a silent connection is dead.
    const heartbeat = setInterval(() => {
      if (isBeating) return;
      isBeating = true;
      client
        .query(HEARTBEAT)
        .catch((error: Error) => isLost(error) && lose(error))
        .finally(() => {
          isBeating = false;
        });
    }, HEARTBEAT_MS);
    // Called more than once for one connection, and late: the next one may already hold locks.
    const lose = (error?: Error) => {
      isOver = true;
      clearInterval(heartbeat);
      destroy(client);
      if (current !== session) return;
      if (error) log.warn({ error: error.message }, 'the listening connection was lost');
      if (isSilence(error)) silentSince ??= performance.now();
      current = undefined;
      connecting = undefined;
      // A reader that waits for a notification asks to lead again.
      if (!isClosed) onNotify();
    };
    client.on('error', lose);
    client.on('end', () => lose());
    client.on('notification', onNotify);
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      // The answer and the end of the connection may arrive together.
      if (isOver || !take()) throw new Error('Connection terminated');
    } catch (error) {
      lose();
      throw error;
    }
    current = session;
    if (silentSince !== undefined) onSilenceOver(silentSince);
    silentSince = undefined;
    return session;
  }

  function session(): Promise<Session> {
    connecting ??= open().catch((error) => {
      connecting = undefined;
      throw asTransient(error);
    });
    return connecting;
  }

  /** Takes or returns the lock of a consumer; true if that was done. */
  function lock(operation: 'pg_try_advisory_lock' | 'pg_advisory_unlock', consumer: string) {
    const answer = previous.then(async () => {
      const { client, held } = await within(CONNECT_LIMIT_MS, session(), 'the database');
      const { rows } = await client.query<{ done: boolean }>(
        `SELECT ${operation}($1, hashtext($2)) AS done`,
        [LEADER_LOCK, consumer],
      );
      const done = rows[0]?.done === true;
      if (done && operation === 'pg_try_advisory_lock') held.add(consumer);
      return done;
    });
    previous = answer.catch(() => {});
    return answer;
  }

  return {
    async lead(consumer: string): Promise<boolean> {
      if (current?.held.has(consumer)) return true;
      try {
        return await lock('pg_try_advisory_lock', consumer);
      } catch (error) {
        throw asTransient(error);
      }
    },
    async resign(consumer: string): Promise<void> {
      if (current?.held.delete(consumer)) await lock('pg_advisory_unlock', consumer).catch(() => false);
    },
    async close(): Promise<void> {
      isClosed = true;
      const last = current;
      if (!last) return;
      const drop = setTimeout(() => destroy(last.client), CLOSE_LIMIT_MS);
      await last.client.end().catch(() => {});
      clearTimeout(drop);
    },
  };
}

/** True if a time limit ran out: nobody said that the connection has ended. */
function isSilence(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return /timeout/i.test(error.message) || isSilence(error.cause);
}
