/** Finds, among the hosts of a URL, the server that takes writes. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { TiffinError } from '../../domain/errors.ts';
import type { DatabaseUrl, Host, Wanted } from './database-url.ts';

export interface Server extends Host {
  readonly tls: boolean;
}

/** Time limit of asking one host, ms. */
const ASK_LIMIT_MS = 2_000;
/** How long, once a server was found, the others are waited for, ms. */
const PATIENCE_MS = 500;

interface Found {
  readonly server: Server;
  /** Raised by every promotion; 0 where it is not known. */
  readonly timeline: number;
}

/**
 * Asks all hosts at once. If several fit, takes the one that was promoted last, then the first of the list. A server of an
 * older timeline than one that was seen is refused: it was the primary before a failover, and lacks what came after.
 */
export function serverSearch(address: DatabaseUrl, settings: pg.ClientConfig): () => Promise<Server> {
  const { hosts, wanted } = address;
  let newest = 0;

  async function ask(host: Host): Promise<Found> {
    const { client, tls } = await connect(host);
    try {
      const fault = await faultOfServer(client, wanted);
      if (fault) throw new Error(fault);
      const timeline = wanted === 'any' ? 0 : await timelineOf(client);
      if (timeline && timeline < newest)
        throw new Error(`was the primary before a failover (timeline ${timeline}, and ${newest} was seen)`);
      return { server: { ...host, tls }, timeline };
    } finally {
      client.end().catch(() => {});
    }
  }

  async function connect(host: Host): Promise<{ client: pg.Client; tls: boolean }> {
    const tls = address.tls !== 'none';
    try {
      return { client: await open(host, tls), tls };
    } catch (error) {
      if (address.tls !== 'optional' || !/does not support SSL/.test((error as Error).message)) throw error;
      return { client: await open(host, false), tls: false };
    }
  }

  async function open({ host, port }: Host, tls: boolean): Promise<pg.Client> {
    const limits = { connectionTimeoutMillis: ASK_LIMIT_MS, query_timeout: ASK_LIMIT_MS };
    const client = new pg.Client({ ...settings, ...limits, ssl: tls ? address.tlsOptions() : false });
    client.on('error', () => {});
    Object.assign(client, { host, port });
    await client.connect();
    return client;
  }

  return async () => {
    const found: Found[] = [];
    const faults = new Map<Host, string>();
    const asked = hosts.map((host) =>
      ask(host).then(
        (answer) => found.push(answer),
        (error: Error & { code?: string }) => {
          faults.set(host, error.message || String(error.code));
          throw error;
        },
      ),
    );
    await Promise.race([
      Promise.allSettled(asked),
      Promise.any(asked).then(
        () => pause(PATIENCE_MS, undefined, { ref: false }),
        () => {},
      ),
    ]);
    const place = ({ server }: Found) => hosts.findIndex((host) => isSame(host, server));
    const [best] = found.sort((a, b) => b.timeline - a.timeline || place(a) - place(b));
    if (!best) {
      const each = hosts.map((host) => `${host.host}:${host.port}: ${faults.get(host) ?? 'no answer'}`);
      throw new TiffinError('UNAVAILABLE', 'the database is unavailable', {
        cause: new Error(each.length > 1 ? `no server takes writes (${each.join('; ')})` : each[0]),
      });
    }
    newest = Math.max(newest, best.timeline);
    return best.server;
  };
}

export function isSame(a: Host, b: Host): boolean {
  return a.host === b.host && a.port === b.port;
}

/** Why a server is not the wanted one; undefined if it is. */
export async function faultOfServer(client: pg.Client, wanted: Wanted): Promise<string | undefined> {
  if (wanted === 'any') return undefined;
  const { rows } = await client.query(
    `SELECT pg_is_in_recovery() AS "isStandby", current_setting('transaction_read_only') = 'on' AS "isReadOnly"`,
  );
  if (rows[0].isStandby) return 'is a standby';
  return wanted === 'read-write' && rows[0].isReadOnly ? 'is read-only' : undefined;
}

/** Some managed servers do not tell it. */
async function timelineOf(client: pg.Client): Promise<number> {
  try {
    const { rows } = await client.query('SELECT pg_walfile_name(pg_current_wal_lsn()) AS file');
    return Number.parseInt(rows[0].file.slice(0, 8), 16);
  } catch {
    return 0;
  }
}
