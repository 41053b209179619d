/** The configuration: environment variables, read once, each fault named in a sentence. */
import { z } from 'zod';

const url = (...protocols: string[]) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol),
      `must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    );
const whole = (from: number, to: number) =>
  z
    .string()
    .refine(
      (text) => /^\d{1,15}$/.test(text) && Number(text) >= from && Number(text) <= to,
      `must be a whole number from ${from} to ${to}`,
    )
    .transform(Number);
const oneOf = <const T extends readonly string[]>(...values: T) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` });

const schema = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: whole(0, 65_535).default(8080),
  DATA_DIR: z.string().default('data'),
  DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  DATABASE_POOL: whole(2, 200).default(10),
  REDIS_URL: url('redis:', 'rediss:').optional(),
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w.-]{1,32}$/, 'must be 1 to 32 letters, digits, dots, hyphens or underscores')
    .default('tiffin'),
  EMBEDDED_REDIS: oneOf('auto', 'native', 'wasm').default('auto'),
  KAFKA_BROKERS: z
    .string()
    .transform((text) => text.split(',').map((broker) => broker.trim()))
    .refine(
      (brokers) => brokers.every((broker) => /^[\w.-]+:\d+$/.test(broker)),
      'must be host:port, or several with commas between them',
    )
    .optional(),
  DISPATCH_INTERVAL_MS: whole(10, 60_000).default(1_000),
  DISPATCH_LEASE_MS: whole(500, 600_000).default(5_000),
  SCHEDULE_SHARDS: whole(1, 64).default(1),
  PLACE_MAX_WAITING: whole(1, 1_000_000).default(10_000),
  ORDER_LOGIC: z.string().optional(),
  RETENTION_HOURS: whole(1, 87_600).default(168),
  AUTH: oneOf('off').optional(),
  AUTH_JWT_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  AUTH_JWKS_URL: url('http:', 'https:').optional(),
  LOG_LEVEL: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent').default('info'),
  LOG_FORMAT: oneOf('auto', 'json', 'pretty').default('auto'),
});

export type Config = z.infer<typeof schema>;

/** A wrong value, or several, in one sentence. */
export class ConfigError extends Error {}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|::1)$/;

export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  // An empty variable is as good as none: that is how compose files and .env files leave one out.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => {
      const name = String(path[0]);
      // A URL may hold a password.
      return /_(URL|SECRET)$/.test(name)
        ? `${name} ${message}`
        : `${name} ${message}, and it is '${env[name]}'`;
    });
    throw new ConfigError(`${faults.join('; ')}.`);
  }
  const config = parsed.data;
  assertAuthIsMeant(config);
  return config;
}

function assertAuthIsMeant({ HOST, AUTH, AUTH_JWT_SECRET, AUTH_JWKS_URL }: Config): void {
  if (AUTH_JWT_SECRET && AUTH_JWKS_URL) {
    throw new ConfigError(
      'AUTH_JWT_SECRET and AUTH_JWKS_URL are both set, and tokens are checked with one of them.',
    );
  }
  const key = AUTH_JWT_SECRET ? 'AUTH_JWT_SECRET' : AUTH_JWKS_URL ? 'AUTH_JWKS_URL' : undefined;
  if (AUTH === 'off' && key) {
    throw new ConfigError(`AUTH is off, and ${key} is set all the same; set only one of them.`);
  }
  if (!LOOPBACK.test(HOST) && AUTH !== 'off' && !key) {
    throw new ConfigError(
      `HOST is '${HOST}', which others can reach, and nobody would have to log in; listen on 127.0.0.1, set AUTH_JWT_SECRET or AUTH_JWKS_URL, or set AUTH=off where something in front of it decides who may come in.`,
    );
  }
}
