/** Opens a Redis connection that fails commands at once while the server is unreachable, and reconnects by itself. */
import { Redis } from 'ioredis';
import { TiffinError } from '../../domain/errors.ts';
import type { Log } from '../../service/ports.ts';

export function openRedis(url: string, log: Log): Redis {
  const redis = new Redis(url, {
    connectionName: 'tiffin',
    enableAutoPipelining: false,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: true,
    connectTimeout: 3_000,
    commandTimeout: 10_000,
    retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
  });
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

/** Warns if Redis may evict the schedule, since rebuilding it delays orders. A server that refuses CONFIG is not checked. */
async function warnOfEviction(redis: Redis, log: Log): Promise<void> {
  const [, policy] = (await redis.config('GET', 'maxmemory-policy').catch(() => [])) as string[];
  const [, limit] = (await redis.config('GET', 'maxmemory').catch(() => [])) as string[];
  if (policy?.startsWith('allkeys') && limit !== '0') {
    log.warn(
      { policy },
      'Redis may evict the schedule when its memory is full; set maxmemory-policy to noeviction or volatile-lru',
    );
  }
}

/** Awaits a command; throws UNAVAILABLE if the server is unreachable, loading or read-only. */
export async function asUnavailable<T>(command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    const message = error instanceof Error ? `${error.name} ${error.message}` : '';
    // An error reply to a wrong command is a bug in Tiffin; every other error is transient.
    const isMistake = /^ReplyError (?!LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|OOM)/.test(
      message,
    );
    throw isMistake ? error : new TiffinError('UNAVAILABLE', 'Redis is unreachable', { cause: error });
  }
}
