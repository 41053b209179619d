/** Finds out at the start whether the Redis of the settings is there; later it may come and go. */
import { Redis } from 'ioredis';
import { ConfigError } from './faults.ts';

export async function assertRedisReachable(url: string): Promise<void> {
  const redis = new Redis(url, { lazyConnect: true, connectTimeout: 3_000, retryStrategy: null });
  let reason: string | undefined;
  redis.on('error', (error: NodeJS.ErrnoException) => {
    reason = error.message || error.code;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    throw new ConfigError(
      `Redis at ${new URL(url).host} cannot be reached: ${reason ?? (error as Error).message}; is REDIS_URL right?`,
    );
  } finally {
    redis.disconnect();
  }
}
