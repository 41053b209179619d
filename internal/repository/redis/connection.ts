/** A Redis connection whose commands fail at once while the server is away, and which comes back by itself. */
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
  // ioredis reports every failed attempt; the log hears of each fault once.
  redis.on('error', (error: Error) => {
    if (error.message !== last) log.warn({ error: error.message }, 'Redis cannot be reached');
    last = error.message;
  });
  redis.on('ready', () => {
    if (last) log.info({}, 'Redis is back');
    last = '';
    void warnOfEviction(redis, log);
  });
  return redis;
}

/** A schedule that may be evicted is rebuilt, but late; a server that will not tell its policy is left in peace. */
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

/** Runs a command; a server that is away, loading or read-only is UNAVAILABLE. */
export async function asUnavailable<T>(command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    const message = error instanceof Error ? `${error.name} ${error.message}` : '';
    // What Redis itself answers to a wrong command is a mistake of ours; everything else passes by itself.
    const isMistake = /^ReplyError (?!LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|OOM)/.test(
      message,
    );
    throw isMistake ? error : new TiffinError('UNAVAILABLE', 'Redis cannot be reached', { cause: error });
  }
}
