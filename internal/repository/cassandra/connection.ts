/** A connection to Cassandra that is made when it is first needed, makes the keyspace and the table, and names passing faults. */
import cassandra from 'cassandra-driver';
import { v5 } from 'uuid';
import { TiffinError } from '../../domain/errors.ts';
import type { Log } from '../../service/ports.ts';
import { type HistoryUrl, parseHistoryUrl } from './history-url.ts';

const TABLE = 'order_history';
const CONNECT_LIMIT_MS = 3_000;
/** Time limit of one request to one host, ms. */
const REQUEST_LIMIT_MS = 3_000;
const HEARTBEAT_MS = 2_000;
/** Most copies of each row in a keyspace that is made here; fewer where there are fewer hosts. */
const MOST_COPIES = 3;
/** The namespace of the tables' ids (RFC 9562). */
const TABLE_NAMESPACE = '1f5a3c52-6a0f-4f5e-8a52-3d2f3f6d7a10';

export interface Cassandra {
  /** The table's name with its keyspace. */
  readonly table: string;
  /** Runs the work on a connection; throws UNAVAILABLE for every fault that is not a mistake of Tiffin. */
  run<T>(work: (client: cassandra.Client) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export function openCassandra(url: string, log: Log): Cassandra {
  const address = parseHistoryUrl(url);
  let opened: Promise<cassandra.Client> | undefined;
  let isReported = false;

  async function open(): Promise<cassandra.Client> {
    const client = new cassandra.Client(optionsOf(address));
    try {
      await client.connect();
      await makeTable(client, address);
    } catch (error) {
      void client.shutdown().catch(() => {});
      throw error;
    }
    return client;
  }

  return {
    table: `${address.keyspace}.${TABLE}`,
    async run(work) {
      opened ??= open();
      const opening = opened;
      let isOpen = false;
      try {
        const client = await opening;
        isOpen = true;
        const result = await work(client);
        if (isReported) log.info({}, 'Cassandra is reachable again');
        isReported = false;
        return result;
      } catch (error) {
        if (isOpen && isMistake(error)) throw error;
        if (!isReported) log.warn({ error: reasonOf(error) }, 'Cassandra is unreachable');
        isReported = true;
        // The driver reconnects by itself, but not when it never was connected, and the table may be gone.
        if ((!isOpen || isGone(error)) && opened === opening) {
          opened = undefined;
          void opening.then((client) => client.shutdown()).catch(() => {});
        }
        throw new TiffinError('UNAVAILABLE', 'the history is unavailable', { cause: error });
      }
    },
    async close() {
      const closing = opened?.then((client) => client.shutdown());
      await closing?.catch(() => {});
    },
  };
}

function optionsOf({ hosts, dataCentre, login, tls }: HistoryUrl): cassandra.ClientOptions {
  return {
    contactPoints: [...hosts],
    localDataCenter: dataCentre,
    ...(login
      ? { authProvider: new cassandra.auth.PlainTextAuthProvider(login.username, login.password) }
      : {}),
    ...(tls ? { sslOptions: tls() } : {}),
    // Every statement may run twice, so the driver tries another host when one does not answer.
    queryOptions: {
      consistency: cassandra.types.consistencies.localQuorum,
      prepare: true,
      isIdempotent: true,
    },
    socketOptions: {
      connectTimeout: CONNECT_LIMIT_MS,
      readTimeout: REQUEST_LIMIT_MS,
      // A connection on which a request timed out is replaced.
      defunctReadTimeoutThreshold: 1,
    },
    pooling: { heartBeatInterval: HEARTBEAT_MS },
    policies: {
      reconnection: new cassandra.policies.reconnection.ExponentialReconnectionPolicy(100, 1_000, false),
    },
  };
}

/** A login without the right to make them finds what an operator has made. */
async function makeTable(client: cassandra.Client, { keyspace, dataCentre }: HistoryUrl): Promise<void> {
  const { metadata } = client;
  if (!Object.hasOwn(metadata.keyspaces, keyspace)) {
    const hosts = client.hosts.values().filter(({ datacenter }) => datacenter === dataCentre);
    const copies = Math.min(hosts.length, MOST_COPIES);
    await client.execute(
      `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', '${dataCentre}': ${copies}}`,
      [],
      { prepare: false },
    );
  }
  if (await metadata.getTable(keyspace, TABLE)) return;
  // With a fixed id, processes that make the table at the same moment make the same one. A partition is an order; the
  // windows of compaction are those in which whole files expire.
  await client.execute(
    `CREATE TABLE IF NOT EXISTS ${keyspace}.${TABLE} (
       order_id text, at timestamp, event_id text, event_type text, producer text, payload text,
       PRIMARY KEY ((order_id), at, event_id)
     ) WITH ID = ${v5(`${keyspace}.${TABLE}`, TABLE_NAMESPACE)}
       AND CLUSTERING ORDER BY (at DESC, event_id DESC)
       AND compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', 'compaction_window_size': 14}`,
    [],
    { prepare: false },
  );
}

const { syntaxError, invalid, configError } = cassandra.types.responseErrorCodes;

/**
 * A statement or value that no server takes. Every other fault passes, even if an operator has to repair its cause, and so do
 * all that keep a connection from being opened, such as a data centre that the cluster does not have.
 */
function isMistake(error: unknown): boolean {
  if (error instanceof cassandra.errors.ResponseError)
    return [syntaxError, invalid, configError].includes(error.code) && !isGone(error);
  return error instanceof TypeError || error instanceof cassandra.errors.ArgumentError;
}

function isGone(error: unknown): boolean {
  return (
    error instanceof Error && /unconfigured table|(table|keyspace) .*does not exist/i.test(error.message)
  );
}

/** The driver's fault, with that of each host. */
export function reasonOf(error: unknown): string {
  if (error instanceof cassandra.errors.NoHostAvailableError) {
    const each = Object.entries(error.innerErrors ?? {}).map(
      ([host, fault]) => `${host}: ${(fault as Error).message}`,
    );
    if (each.length > 0) return each.join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}
