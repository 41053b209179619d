/** The states of a Redis in which it answers and does not serve: how each is brought about, and ended. */
import fs from 'node:fs';
import type { OwnRedis } from './own-redis.ts';
import { until } from './until.ts';

export interface RedisState {
  set(): Promise<unknown>;
  reset(): Promise<unknown>;
}

/** `redis` is called each time, since tests start their server later. */
export function redisStates(redis: () => OwnRedis): Record<string, RedisState> {
  const call = (command: string, ...args: string[]) => redis().call(command, ...args);
  return {
    NOREPLICAS: {
      set: () => call('CONFIG', 'SET', 'min-replicas-to-write', '1'),
      reset: () => call('CONFIG', 'SET', 'min-replicas-to-write', '0'),
    },
    MISCONF: {
      async set() {
        await call('CONFIG', 'SET', 'save', '3600 1000000');
        fs.rmSync(redis().dir, { recursive: true });
        await call('BGSAVE');
        await until('the snapshot to fail', async () =>
          String(await call('INFO', 'persistence')).includes('rdb_last_bgsave_status:err'),
        );
      },
      async reset() {
        fs.mkdirSync(redis().dir);
        await call('CONFIG', 'SET', 'save', '');
      },
    },
    NOPERM: {
      set: () => call('ACL', 'SETUSER', 'default', '-zadd', '-set', '-evalsha', '-eval', '-get'),
      reset: () => call('ACL', 'SETUSER', 'default', '+@all'),
    },
    NOAUTH: {
      async set() {
        await call('CONFIG', 'SET', 'requirepass', 'secret');
        await call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      },
      reset: () => call('CONFIG', 'SET', 'requirepass', ''),
    },
    OOM: {
      set: () => call('CONFIG', 'SET', 'maxmemory', '1mb'),
      reset: () => call('CONFIG', 'SET', 'maxmemory', '0'),
    },
    READONLY: {
      set: () => call('REPLICAOF', '127.0.0.1', '1'),
      reset: () => call('REPLICAOF', 'NO', 'ONE'),
    },
  };
}
