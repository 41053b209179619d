/** Makes connections to Postgres, each with limits to every wait, and each to the server of the URL that takes writes. */
import pg from 'pg';
import { TiffinError } from '../../domain/errors.ts';
import { type DatabaseUrl, parseDatabaseUrl } from './database-url.ts';
import { faultOfServer, isSame, type Server, serverSearch } from './server-search.ts';

/** Time limit of one statement, ms. */
const STATEMENT_LIMIT_MS = 4_000;
/** How long the server waits for the next statement of a transaction, ms; a silent process holds its locks, and the log, for so long. */
const TRANSACTION_IDLE_LIMIT_MS = 3_500;
/** Time limit of making a connection, ms. */
export const CONNECT_LIMIT_MS = 3_000;

/**
 * Every wait has a limit, because a peer may vanish without closing its connections. The server ends a statement, then the
 * driver gives the connection up. The server finds out within about 6 s that this process's host has vanished, and then
 * releases its locks and transactions. (PostgreSQL manual, 19.3.2 "TCP Settings" and 19.11.1 "Statement Behavior".)
 */
export const SESSION: SessionSettings = {
  statement_timeout: STATEMENT_LIMIT_MS,
  idle_in_transaction_session_timeout: TRANSACTION_IDLE_LIMIT_MS,
  tcp_keepalives_idle: 3,
  tcp_keepalives_interval: 1,
  tcp_keepalives_count: 3,
  tcp_user_timeout: 6_000,
};

/** Server settings by name. */
export type SessionSettings = Readonly<Record<string, string | number>>;

export interface ClientOptions {
  /** Settings besides those of every session. */
  readonly session?: SessionSettings;
  /** True behind a pooler such as PgBouncer in transaction mode, which takes no settings for a session. */
  readonly isPooled?: boolean;
  readonly config?: pg.ClientConfig;
}

export interface Clients {
  new (): pg.Client;
  /** Drops the connections that were not made since then (`performance.now`): the server has been silent. */
  dropSilent(since: number): void;
}

/** A constructor of connections to the URL's servers, for a pool or by itself. */
export function clientsTo(url: string, options: ClientOptions = {}): Clients {
  const { session = {}, isPooled = false, config = {} } = options;
  const address = parseDatabaseUrl(url);
  const settings: pg.ClientConfig = {
    connectionString: address.plain,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout: STATEMENT_LIMIT_MS + 500,
    application_name: 'tiffin',
    ...(isPooled ? {} : { options: asOptions({ ...SESSION, ...session }) }),
    ...config,
  };
  const servers = serversOf(address, settings);

  return class extends pg.Client {
    static dropSilent = servers.dropSilent;

    constructor() {
      super({ ...settings, ssl: false });
    }

    // biome-ignore lint/suspicious/noExplicitAny: passes on every form of arguments that pg accepts
    override query(config: any, ...rest: any[]): any {
      // Behind a pooler two queries of a client may reach different sessions, so that no statement may have a name.
      const isNamed = isPooled && typeof config === 'object' && config !== null && config.name !== undefined;
      return super.query(isNamed ? { ...config, name: undefined } : config, ...(rest as []));
    }

    override connect(): Promise<pg.Client>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error, client?: pg.Client) => void): Promise<pg.Client> {
      const opened = this.#open();
      // pg calls back with null for no error, which its types leave out.
      if (callback) opened.then(() => callback(null as unknown as Error, this), callback);
      return opened;
    }

    async #open(): Promise<pg.Client> {
      const server = await servers.find();
      // The pool gives a connection up that takes too long; that one may not be made afterwards.
      if (this.connection.stream.destroyed)
        throw unavailable(new Error('the search for a server took too long'));
      this.on('error', servers.forget);
      servers.add(this);
      try {
        // Here, since the pool does not expect its constructor to throw: a file that is being replaced may be missing.
        const ssl = server.tls ? address.tlsOptions() : false;
        Object.assign(this, { host: server.host, port: server.port, ssl });
        Object.assign(this.connection, { ssl });
        await super.connect();
        const fault = servers.isChecked && (await faultOfServer(this, address.wanted));
        if (fault) throw new Error(`${server.host}:${server.port} ${fault}`);
      } catch (error) {
        servers.forget();
        servers.remove(this);
        destroy(this);
        throw unavailable(error);
      }
      servers.isMade(this);
      return this;
    }
  };
}

/** Whatever prevents a connection passes: a certificate is renewed, a password is set, a server comes back. */
function unavailable(cause: unknown): TiffinError {
  return cause instanceof TiffinError
    ? cause
    : new TiffinError('UNAVAILABLE', 'the database is unavailable', { cause });
}

/** The server in use, which is searched for when a connection to it is lost; all connections follow to another one. */
function serversOf(address: DatabaseUrl, settings: pg.ClientConfig) {
  const isChecked = address.hosts.length > 1 || address.wanted !== 'any';
  const [{ host, port }] = address.hosts;
  const only: Server | undefined =
    isChecked || address.tls === 'optional' ? undefined : { host, port, tls: address.tls === 'required' };
  const search = serverSearch(address, settings);
  /** Each connection, and when it was made: `performance.now`, or never. */
  const open = new Map<pg.Client, number>();
  let current: Promise<Server> | undefined;
  return {
    isChecked,
    async find(): Promise<Server> {
      if (only) return only;
      current ??= search().then((server) => {
        for (const client of open.keys()) if (!isSame(client, server)) destroy(client);
        return server;
      });
      return current.catch((error) => {
        current = undefined;
        throw error;
      });
    },
    forget(): void {
      current = undefined;
    },
    add(client: pg.Client): void {
      open.set(client, Number.NEGATIVE_INFINITY);
      client.once('end', () => open.delete(client));
    },
    isMade(client: pg.Client): void {
      if (open.has(client)) open.set(client, performance.now());
    },
    remove(client: pg.Client): void {
      open.delete(client);
    },
    dropSilent(since: number): void {
      for (const [client, madeAt] of open) if (madeAt < since) destroy(client);
    },
  };
}

function asOptions(settings: SessionSettings): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/** Ends a connection without waiting for the server. */
export function destroy(client: pg.ClientBase): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
