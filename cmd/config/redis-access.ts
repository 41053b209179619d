/** Checks the settings of TLS for Redis together, and opens connections with them. */
import type { z } from 'zod';
import { redisAddress } from '../../internal/repository/redis/address.ts';
import type { TlsFiles } from '../../internal/repository/redis/connection.ts';
import type { redis } from './redis-settings.ts';
import { faultsOfTlsFiles } from './tls-files.ts';

export type RedisSettings = z.infer<z.ZodObject<typeof redis>>;

const TLS_FILES = ['REDIS_CA_FILE', 'REDIS_CERT_FILE', 'REDIS_KEY_FILE'] as const;

/** Every fault of the settings together, each without a full stop; empty if there is none. */
export function faultsOfRedis(config: RedisSettings): string[] {
  const urls = [config.REDIS_URL, config.CACHE_REDIS_URL].filter((url) => url !== undefined);
  const isTls = urls.some((url) => redisAddress(url).isTls);
  const unused = TLS_FILES.filter((name) => config[name] !== undefined && !isTls);
  const file = (name: (typeof TLS_FILES)[number]) => ({ name, file: config[name] });
  return [
    ...unused.map((name) => `${name} is set, but no URL of Redis begins with rediss`),
    ...faultsOfTlsFiles(file('REDIS_CA_FILE'), file('REDIS_CERT_FILE'), file('REDIS_KEY_FILE')),
  ];
}

export function redisTlsOf(config: RedisSettings): TlsFiles {
  return { ca: config.REDIS_CA_FILE, cert: config.REDIS_CERT_FILE, key: config.REDIS_KEY_FILE };
}
