/** Opens a Redis connection that fails commands at once while the server is unreachable, and reconnects by itself. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Cluster, Redis, type RedisOptions, ReplyError } from 'ioredis';
import { TiffinError } from '../../domain/errors.ts';
import type { Log } from '../../service/ports.ts';
import { type RedisAddress, redisAddress } from './address.ts';

/** A connection that does not answer for this long may have died without a FIN or RST; it is replaced. */
export const SILENCE_MS = 2_000;
const TIMING = {
  connectionName: 'tiffin',
  enableAutoPipelining: false,
  connectTimeout: 2_000,
  commandTimeout: 5_000,
  socketTimeout: SILENCE_MS,
};
const LONGEST_PAUSE_MS = 250;
/** The pause before the next attempt to connect, ms: short, so that a server that is back is used at once. */
const reconnectAfter = (attempt: number) => Math.min(attempt * 50, LONGEST_PAUSE_MS);

/** PEM files; without an authority of its own the well-known ones count. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export function openRedis(url: string, log: Log, files: TlsFiles = {}): Redis | Cluster {
  const address = redisAddress(url);
  const redis = address.kind === 'cluster' ? clusterOf(address, files) : clientOf(address, files);
  let last = '';
  // ioredis reports every failed attempt; only a changed error is logged.
  redis.on('error', (error: Error) => {
    if (error.message !== last) log.warn({ error: error.message }, 'Redis is unreachable');
    last = error.message;
  });
  redis.on('ready', () => {
    if (last) log.info({}, 'Redis is reachable again');
    last = '';
    void warnOfEviction(redis, log);
  });
  return redis;
}

/**
 * ioredis gives a client up for good when an attempt to connect ends before it has a socket: when the Sentinels announce a new
 * primary while they are being asked for it, for instance. This client goes on until it is closed.
 */
class LastingRedis extends Redis {
  #isClosed = false;

  constructor(options: Omit<RedisOptions, 'replyMapping'>) {
    super(options);
    const again = () => void (this.#isClosed || this.connect().catch(() => {}));
    this.on('end', () => setTimeout(again, LONGEST_PAUSE_MS));
  }

  override disconnect(reconnect = false): void {
    this.#isClosed ||= !reconnect;
    super.disconnect(reconnect);
  }
}

function clientOf(address: RedisAddress, files: TlsFiles): Redis {
  return new LastingRedis({
    ...(address.kind === 'sentinel' ? sentinelOf(address, files) : serverOf(address)),
    ...loginOf(address, files),
    ...TIMING,
    db: address.db,
    maxRetriesPerRequest: 0,
    // After a failover the old primary answers READONLY; a new connection reaches the new one.
    reconnectOnError: (error) => /\bREADONLY\b/.test(error.message),
    retryStrategy: reconnectAfter,
  });
}

function clusterOf(address: RedisAddress, files: TlsFiles): Cluster {
  return new Cluster([...address.hosts], {
    redisOptions: { ...TIMING, ...loginOf(address, files) },
    // Nodes are connected to by the names they have: certificates bear them.
    dnsLookup: (host, callback) => callback(null, host),
    clusterRetryStrategy: reconnectAfter,
    slotsRefreshTimeout: 1_000,
    // A new primary is found without a command to the old one.
    slotsRefreshInterval: 5_000,
    // A command waits half a second for a node to be replaced or a slot to be moved; then its caller tries again.
    maxRedirections: 5,
    enableOfflineQueue: false,
  });
}

/** The servers that take writes. */
export function serversOf(redis: Redis | Cluster): Redis[] {
  return redis instanceof Cluster ? redis.nodes('master') : [redis];
}

/** A write at each server that holds a shard of the schedule, since one that answers to PING may still refuse writes. */
export async function probe(redis: Redis | Cluster, prefix: string, shards: number): Promise<void> {
  const tags = redis instanceof Cluster ? tagsOf(prefix, shards) : [prefix];
  await Promise.all(tags.map((tag) => redis.set(`${tag}:probe`, 1, 'EX', 60)));
}

/** What the keys of each shard begin with: in a cluster the part in braces decides where they are. */
export function tagsOf(prefix: string, shards: number): string[] {
  return Array.from({ length: shards }, (_, shard) => `${prefix}:{s${String(shard).padStart(2, '0')}}`);
}

function serverOf({ hosts }: RedisAddress): RedisOptions {
  return hosts[0] as (typeof hosts)[number];
}

function sentinelOf(address: RedisAddress, files: TlsFiles): RedisOptions {
  return {
    sentinels: [...address.hosts],
    name: address.name,
    sentinelUsername: address.sentinelUsername,
    sentinelPassword: address.sentinelPassword,
    ...(address.isTls && { sentinelTLS: tlsOf(files), enableTLSForSentinelMode: true }),
    // A Sentinel says when there is a new primary, so that an old one that has fallen silent is left at once.
    failoverDetector: true,
    sentinelCommandTimeout: 1_000,
    sentinelRetryStrategy: reconnectAfter,
    // While no Sentinel answers, ioredis would keep commands until one does.
    enableOfflineQueue: false,
  };
}

function loginOf({ username, password, isTls }: RedisAddress, files: TlsFiles): RedisOptions {
  return { username, password, ...(isTls && { tls: tlsOf(files) }) };
}

/** ioredis copies these options for each connection, which reads the files: renewed certificates are used from then on. */
function tlsOf(files: TlsFiles): ConnectionOptions {
  const options: ConnectionOptions = {};
  for (const name of ['ca', 'cert', 'key'] as const) {
    const file = files[name];
    if (file === undefined) continue;
    let last: Buffer | undefined;
    // A file that is just being replaced may be missing; the last one is used then.
    const get = () => {
      try {
        last = readFileSync(file);
      } catch (error) {
        if (last === undefined) throw error;
      }
      return last;
    };
    Object.defineProperty(options, name, { enumerable: true, get });
  }
  return options;
}

/** Warns if Redis may evict the schedule, since rebuilding it delays orders. A server that refuses CONFIG is not checked. */
async function warnOfEviction(redis: Redis | Cluster, log: Log): Promise<void> {
  for (const server of serversOf(redis)) {
    const [, policy] = (await server.config('GET', 'maxmemory-policy').catch(() => [])) as string[];
    const [, limit] = (await server.config('GET', 'maxmemory').catch(() => [])) as string[];
    if (!policy?.startsWith('allkeys') || limit === '0') continue;
    log.warn(
      { policy },
      'Redis may evict the schedule when its memory is full; set maxmemory-policy to noeviction or volatile-lru',
    );
    return;
  }
}

/**
 * Error replies that report a mistake of Tiffin: a wrong command, or an error in a script. Every other reply reports the
 * server's own state (LOADING, READONLY, MISCONF, NOREPLICAS, NOAUTH, OOM, …), which passes or is repaired by an operator.
 * Redis 6 wraps the reply to a script's command in `ERR Error running script`, so the whole text is searched.
 */
const MISTAKE =
  /WRONGTYPE|wrong number of arguments|syntax error|unknown (sub)?command|not an? (valid )?(integer|float)|out of range|min or max is not|compiling script|attempt(ed)? to |wrong type|CROSSSLOT/i;

/** Awaits a command; throws UNAVAILABLE for every error that is not a mistake of Tiffin. */
export async function asUnavailable<T>(command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    const isMistake = error instanceof ReplyError && MISTAKE.test((error as Error).message);
    throw isMistake ? error : new TiffinError('UNAVAILABLE', 'Redis is unavailable', { cause: error });
  }
}
