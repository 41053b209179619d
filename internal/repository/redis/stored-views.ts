/** Goes through the views in Redis, by the replication id of each server that takes writes. */
import { type Cluster, type Redis, ReplyError, type Result } from 'ioredis';
import { TiffinError } from '../../domain/errors.ts';
import type { OrderId } from '../../domain/order.ts';
import type { StoredVersion, StoredViews } from '../../service/views/ports.ts';
import { asUnavailable, serversOf } from './connection.ts';
import { originOf, type ViewOptions, viewKeysOf } from './order-views.ts';
import { viewScript } from './put-views.ts';

/** Keys that one SCAN looks at. */
const PAGE = 500;
const FIRST_CURSOR = '0';
/** Longer than any origin and revision at the beginning of a snapshot. */
const HEAD_BYTES = 200;
const HEAD = /^\{"revision":\[(\d+),(\d+)\],"origin":"([^"]*)"/;
/** A history whose key has expired is compared once more by the next process that starts. */
const COMPARED_TTL_S = 30 * 86_400;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    /** remove-view.lua. */
    removeView(...keysAndArguments: (string | number)[]): Result<number, Context>;
  }
}

/**
 * Redis gives its data another replication id whenever it is started or promoted, and never an old one: data that went back
 * in time have one that nobody has seen.
 */
export function redisStoredViews(
  redis: Redis | Cluster,
  options: Pick<ViewOptions, 'prefix' | 'databaseId'>,
): StoredViews {
  redis.defineCommand('removeView', viewScript('remove-view.lua', 1));
  const snapshots = `${viewKeysOf(options.prefix)}order:`;
  const origin = originOf(options);
  const comparedKey = (history: string) => `${options.prefix}:views-compared:${history}`;
  let servers = new Map<string, Redis>();

  async function versionAt(key: string): Promise<StoredVersion[]> {
    const head = await asUnavailable(redis.getrange(key, 0, HEAD_BYTES)).catch((error) => {
      // Tiffin did not write a value of another type.
      if (error instanceof ReplyError && error.message.startsWith('WRONGTYPE')) return '';
      throw error;
    });
    const [, changes, etaAt, its] = HEAD.exec(head) ?? [];
    if (its !== origin) return [];
    const orderId = key.slice(snapshots.length) as OrderId;
    return [{ orderId, revision: [Number(changes), Number(etaAt)] }];
  }

  return {
    async histories() {
      const found = serversOf(redis).map(async (one) => [await asUnavailable(historyOf(one)), one] as const);
      servers = new Map(await Promise.all(found));
      return [...servers.keys()];
    },
    isCompared: async (history) => (await asUnavailable(redis.exists(comparedKey(history)))) > 0,
    async setCompared(history) {
      await asUnavailable(redis.set(comparedKey(history), 1, 'EX', COMPARED_TTL_S));
    },
    async page(history, cursor = FIRST_CURSOR) {
      const server = servers.get(history);
      if (!server) throw new TiffinError('UNAVAILABLE', 'the Redis that held these views has changed');
      const scan = server.scan(cursor, 'MATCH', `${snapshots}*`, 'COUNT', PAGE);
      const [next, keys] = await asUnavailable(scan);
      const versions = (await Promise.all(keys.map(versionAt))).flat();
      return { versions, next: next === FIRST_CURSOR ? undefined : next };
    },
    async remove({ orderId, revision }) {
      return (await asUnavailable(redis.removeView(snapshots + orderId, ...revision, origin))) === 1;
    },
  };
}

async function historyOf(server: Redis): Promise<string> {
  const info = await server.info('replication');
  const [, role] = /^role:(\w+)/m.exec(info) ?? [];
  const [, history] = /^master_replid:(\w+)/m.exec(info) ?? [];
  // A replica has the id of its primary, but not all of its data.
  if (role !== 'master' || !history)
    throw new TiffinError('UNAVAILABLE', `Redis is no primary or hides its replication id (role ${role})`);
  return history;
}
