/** The settings of Redis. */
import { z } from 'zod';
import { type AddressFaults, redisAddress, SCHEMES } from '../../internal/repository/redis/address.ts';
import { oneOf, text } from './kinds.ts';

/** The address of a Redis; the fault of a wrong one repeats nothing of it. */
const address = () =>
  z
    .string()
    .superRefine((value, ctx) => {
      try {
        redisAddress(value);
      } catch (error) {
        for (const message of (error as AddressFaults).faults) ctx.addIssue({ code: 'custom', message });
      }
    })
    .meta({ takes: `a URL that begins with ${SCHEMES.map((scheme) => `\`${scheme}://\``).join(', ')}` });

export const redis = {
  REDIS_URL: address()
    .optional()
    .describe(
      'Redis, tested on 7, or Valkey: `redis://user:password@host:port/database`, the primary that Sentinels know by a name, `redis+sentinel://user:password@a,b,c/name/database`, or some nodes of a cluster, `redis+cluster://user:password@a:1,b:2,c:3`; with `rediss` in front it is reached over TLS. [operations.md](operations.md#redis-sentinel-redis-cluster-and-tls) has the details. Default: embedded.',
    ),
  REDIS_CA_FILE: text('a path')
    .optional()
    .describe(
      'PEM file with the authorities that sign the certificates of Redis. Default: the well-known ones. This and the next two are read anew for each connection, and count for `CACHE_REDIS_URL` too.',
    ),
  REDIS_CERT_FILE: text('a path').optional().describe('PEM file with the certificate of this client.'),
  REDIS_KEY_FILE: text('a path').optional().describe('PEM file with its private key.'),
  REDIS_PREFIX: text('1 to 32 letters, digits, dots, hyphens or underscores', (value) =>
    /^[\w.-]{1,32}$/.test(value),
  )
    .prefault('tiffin')
    .describe(
      'Prefix of the keys and channels in Redis, for installations that share one. With the default, the keys for external readers (`order:<id>`, `order_status:<id>`, `customer:<id>:last_orders`) have no prefix.',
    ),
  EMBEDDED_REDIS: oneOf('auto', 'native', 'wasm')
    .prefault('auto')
    .describe(
      'Which Redis is embedded. `auto`: redis-server or valkey-server on the PATH, else WebAssembly.',
    ),
  CACHE_REDIS_URL: address()
    .optional()
    .describe('A Redis of its own for the views; it may evict. Default: the same Redis.'),
};
