/** The configuration: environment variables, read once, each fault named in a sentence. */
import { z } from 'zod';
import { parseDecimal } from '../internal/domain/money.ts';
import { OUTSIDE_TOPICS } from '../internal/domain/topics.ts';
import { ConfigError } from './faults.ts';

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
/** Whole minor units of a decimal amount. */
const money = () =>
  z.string().transform((text, ctx) => {
    const parsed = parseDecimal(text);
    if ('minor' in parsed) return parsed.minor;
    ctx.addIssue({ code: 'custom', message: parsed.fault });
    return z.NEVER;
  });
const seconds = (byDefault: number) => whole(1, 31_536_000).default(byDefault);
const oneOf = <const T extends readonly string[]>(...values: T) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` });

const schema = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: whole(0, 65_535).default(8080),
  DATA_DIR: z.string().optional(),
  DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  DATABASE_POOL: whole(2, 200).default(20),
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
  CACHE_REDIS_URL: url('redis:', 'rediss:').optional(),
  ORDER_STATUS_TTL_S: seconds(3_600),
  CURRENCY: z
    .string()
    .regex(/^[A-Z]{3}$/, 'must be three capital letters, such as USD')
    .default('USD'),
  PRICE_DISCOUNT_ABOVE: money().default(5_000),
  PRICE_DISCOUNT_PERCENT: whole(0, 100).default(10),
  PRICE_FEE: money().default(500),
  CHECKS_MS: whole(0, 86_400_000).default(0),
  DEADLINE_PROCESSING_S: seconds(900),
  DEADLINE_ACCEPTANCE_S: seconds(600),
  DEADLINE_RIDER_S: seconds(1_200),
  DEADLINE_PICK_UP_S: seconds(3_600),
  DEADLINE_DELIVERY_S: seconds(10_800),
  DEADLINE_COLLECTION_S: seconds(86_400),
  ETA_REFRESH_MS: whole(100, 3_600_000).default(30_000),
  PAYMENT_URL: url('http:', 'https:').optional(),
  PAYMENT_API_KEY: z.string().optional(),
  PAYMENT_TIMEOUT_MS: whole(100, 60_000).default(5_000),
  PAYMENT_WEBHOOK_SECRET: z.string().min(16, 'must have at least 16 characters').optional(),
  NOTIFICATION_URL: url('http:', 'https:').optional(),
  NOTIFICATION_TIME_ZONE: z
    .string()
    .refine(isTimeZone, 'must be a time zone such as Asia/Kolkata')
    .default('UTC'),
  DISABLED_TOPICS: z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((topic) => topic.trim() || []))
    .refine(
      (topics) => topics.every((topic) => OUTSIDE_TOPICS.includes(topic)),
      `must be names of topics that only others read, with commas between them: ${OUTSIDE_TOPICS.join(', ')}`,
    ),
  SEED: oneOf('demo', 'none').default('demo'),
  RETENTION_HOURS: whole(1, 87_600).default(168),
  HISTORY_DAYS: whole(1, 36_500).default(400),
  AUTH: oneOf('off').optional(),
  AUTH_JWT_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  AUTH_JWKS_URL: url('http:', 'https:').optional(),
  LOG_LEVEL: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent').default('info'),
  LOG_FORMAT: oneOf('auto', 'json', 'pretty').default('auto'),
});

function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return true;
  } catch {
    return false;
  }
}

export type Config = z.infer<typeof schema>;

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|::1)$/;

/** Adds the settings of a `.env` file in the current directory, where there is one, to the environment. */
export function loadEnvFile(): void {
  try {
    process.loadEnvFile();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new ConfigError(`The file .env cannot be read (${message}).`);
  }
}

export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  // An empty variable is as good as none: that is how compose files and .env files leave one out.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => {
      const name = String(path[0]);
      // A URL may hold a password.
      return /_(URL|SECRET|KEY)$/.test(name)
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
