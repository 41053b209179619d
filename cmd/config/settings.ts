/** Every setting: environment variable, accepted values, default and description; the source of the documentation. */
import { currencyFault } from '../../internal/domain/money.ts';
import { databaseUrl, days, historyUrl, money, oneOf, seconds, secret, text, url, whole } from './kinds.ts';
import { limits } from './limit-settings.ts';
import { redis } from './redis-settings.ts';
import { stream } from './stream-settings.ts';

const access = {
  HOST: text('an address')
    .prefault('127.0.0.1')
    .describe('Address to listen on. One that others can reach needs one of the `AUTH` settings.'),
  PORT: whole(0, 65_535).prefault('8080').describe('Port to listen on; 0 takes a free one.'),
  ENVIRONMENT: text('1 to 32 letters, digits or _.-', (value) => /^[A-Za-z0-9_.-]{1,32}$/.test(value))
    .optional()
    .describe('Name of this environment, such as `production`; the console shows it on every view.'),
  AUTH_JWT_SECRET: secret(32)
    .optional()
    .describe(
      'Secret that bearer tokens are signed with (HS256, HS384, HS512). A token is a JWT with `sub`, `exp` and `roles` (customer, restaurant, rider, operator).',
    ),
  AUTH_JWT_SECRET_FILE: text('a path')
    .optional()
    .describe('File with that secret, instead of the secret itself; white space around it does not count.'),
  AUTH_JWKS_URL: url('http:', 'https:')
    .optional()
    .describe(
      'Where the keys are published that bearer tokens are signed with (RS…, PS…, ES…, EdDSA), instead of a secret.',
    ),
  AUTH_AUDIENCE: text('text')
    .optional()
    .describe('The `aud` that a token must have, so that tokens for other services are refused.'),
  AUTH_ISSUER: text('text').optional().describe('The `iss` that a token must have.'),
  AUTH_CLOCK_TOLERANCE_S: whole(0, 300)
    .prefault('5')
    .describe('How far the clock of the service that issues tokens may be off, seconds.'),
  AUTH: oneOf('off')
    .optional()
    .describe(
      '`off`: others may reach this process and do everything, because something in front of it decides who may come in.',
    ),
};

const storage = {
  DATA_DIR: text('a path')
    .optional()
    .describe(
      'Where the embedded Postgres and Redis keep their data. Default: `data` in the current directory; where that cannot be used, a place kept for that directory, which a log line names.',
    ),
  DATABASE_URL: databaseUrl()
    .optional()
    .describe(
      'Postgres, tested on 18; several hosts, `target_session_attrs` and TLS as [operations.md](operations.md#postgres-with-several-hosts) says. Default: embedded.',
    ),
  DATABASE_DIRECT_URL: databaseUrl()
    .optional()
    .describe(
      'Postgres itself, where `DATABASE_URL` leads to PgBouncer in transaction mode: for migrations, leadership and notifications, which need a session.',
    ),
  DATABASE_POOL: whole(2, 200).prefault('20').describe('Connections to Postgres of each process.'),
  HISTORY_URL: historyUrl()
    .optional()
    .describe(
      'Cassandra for the history of orders, as `cassandra://user:password@host1,host2:9042/keyspace?dc=datacenter1`; TLS as [operations.md](operations.md#the-history-in-cassandra) says. Default: Postgres.',
    ),
  SEED: oneOf('demo', 'none')
    .prefault('demo')
    .describe('What a fresh database holds: a small catalogue and some riders, or nothing.'),
};

const scheduling = {
  DISPATCH_INTERVAL_MS: whole(10, 60_000)
    .prefault('1000')
    .describe('Longest sleep of the dispatch loop, milliseconds; it also wakes when an order becomes due.'),
  DISPATCH_LEASE_MS: whole(500, 600_000)
    .prefault('4000')
    .describe('How long a claim lasts, milliseconds; after that another worker may claim the order.'),
  SCHEDULE_SHARDS: whole(1, 64)
    .prefault('1')
    .describe(
      'Sorted sets that the schedule is spread over, each with a hash tag of its own. One is fastest on a single Redis; on a cluster take several for each primary.',
    ),
  MAX_RESCHEDULES: whole(0, 1_000)
    .prefault('20')
    .describe(
      'How often an order may be rescheduled; then it is refused with RESCHEDULED_TOO_OFTEN. Each time is an entry of the order’s timeline, which is written with every change.',
    ),
  PLACE_MAX_WAITING: whole(1, 1_000_000)
    .prefault('10000')
    .describe('Requests to place an order that may wait for the database before more are refused with 503.'),
};

const orders = {
  ORDER_LOGIC: text('a path')
    .optional()
    .describe(
      'Module whose default export, `async (order, { signal, idempotencyKey }) => void`, runs for each order without items once it is PROCESSING. The message of an error that it throws is the reason the order becomes FAILED. See [using.md](using.md#your-own-logic).',
    ),
  ORDER_LOGIC_TIMEOUT_MS: whole(10, 60_000)
    .prefault('10000')
    .describe(
      'Time limit of each call of `ORDER_LOGIC`, milliseconds; then its signal is aborted, and it is called again later.',
    ),
  CHECKS_MS: whole(0, 86_400_000)
    .prefault('0')
    .describe('Duration of other checks between payment and confirmation, milliseconds.'),
  CURRENCY: text(
    'three capital letters of a currency with two decimals, such as USD',
    (value) => !currencyFault(value),
  )
    .prefault('USD')
    .describe('Currency of orders that name none, and of prices on a menu.'),
  PRICE_DISCOUNT_ABOVE: money().prefault('50').describe('Base total above which there is a discount.'),
  PRICE_DISCOUNT_PERCENT: whole(0, 100).prefault('10').describe('The discount, percent.'),
  PRICE_FEE: money().prefault('5').describe('Fee of every order with items.'),
};

const deadlines = {
  DEADLINE_PROCESSING_S: seconds()
    .prefault('900')
    .describe(
      'Longest wait for stock and payment, or for `ORDER_LOGIC`, seconds. [architecture.md](architecture.md#an-orders-states) says what happens after each deadline.',
    ),
  DEADLINE_ACCEPTANCE_S: seconds()
    .prefault('600')
    .describe('Longest wait for the restaurant’s answer, seconds.'),
  DEADLINE_RIDER_S: seconds().prefault('1200').describe('Longest wait for a rider, seconds.'),
  DEADLINE_PICK_UP_S: seconds()
    .prefault('3600')
    .describe('Longest time from the rider’s assignment to the pick-up, seconds.'),
  DEADLINE_DELIVERY_S: seconds().prefault('10800').describe('Longest way to the door, seconds.'),
  DEADLINE_COLLECTION_S: seconds()
    .prefault('86400')
    .describe('Longest wait for the customer who collects the order, seconds.'),
  ETA_REFRESH_MS: whole(100, 3_600_000)
    .prefault('30000')
    .describe('Interval at which the ETA of an order on its way is computed, milliseconds.'),
};

const outbound = {
  PAYMENT_URL: url('http:', 'https:')
    .optional()
    .describe(
      'API of the payment provider. Default: a simulator; [operations.md](operations.md) has its test tokens.',
    ),
  PAYMENT_API_KEY: text('text').optional().describe('Bearer token for the payment provider.'),
  PAYMENT_TIMEOUT_MS: whole(100, 60_000).prefault('5000').describe('Time limit of each call, milliseconds.'),
  PAYMENT_WEBHOOK_SECRET: secret(16)
    .optional()
    .describe(
      'Signs the provider’s webhooks to `POST /webhooks/payments`; without it that route does not exist.',
    ),
  NOTIFICATION_URL: url('http:', 'https:')
    .optional()
    .describe('Where messages to customers are posted. Default: they are logged at debug level.'),
  NOTIFICATION_TIME_ZONE: text('a time zone such as Asia/Kolkata', isTimeZone)
    .prefault('UTC')
    .describe('Time zone of the times of day in messages.'),
};

const upkeep = {
  RETENTION_HOURS: whole(1, 87_600)
    .prefault('168')
    .describe(
      'How long events, marks of handled events and idempotency keys are kept, hours; events also until every consumer has read them.',
    ),
  ORDER_DAYS: days()
    .prefault('0')
    .describe(
      'How long an order is kept after it has ended, with its reservation, ticket, delivery and messages, days; 0: for ever. One whose money, stock or rider is not settled stays.',
    ),
  PAYMENT_DAYS: days()
    .prefault('0')
    .describe(
      'How long the payments of orders that were deleted by `ORDER_DAYS` are kept, from the request, days; 0: for ever.',
    ),
  MESSAGE_DAYS: days()
    .prefault('0')
    .describe('How long messages that were sent or given up are kept, days; 0: for ever.'),
  DEAD_LETTER_DAYS: days()
    .prefault('0')
    .describe(
      'How long dead letters are kept, with the events parked behind them, days; 0: for ever. They are deleted unhandled.',
    ),
  HISTORY_DAYS: whole(1, 36_500).prefault('400').describe('How long the history of orders is kept, days.'),
  VIEW_TTL_S: seconds()
    .optional()
    .describe(
      'How long `order:<id>` lives in Redis once the order has ended, seconds. Default: 86400, and for ever with `CACHE_REDIS_URL`, where eviction makes room.',
    ),
  ORDER_STATUS_TTL_S: seconds()
    .prefault('3600')
    .describe('How long `order_status:<id>` lives in Redis, seconds.'),
  LOG_LEVEL: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent')
    .prefault('info')
    .describe('Least level of a log line.'),
  LOG_FORMAT: oneOf('auto', 'json', 'pretty')
    .prefault('auto')
    .describe('`auto`: readable on a terminal, else JSON.'),
};

function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return true;
  } catch {
    return false;
  }
}

export const SETTINGS = {
  ...access,
  ...limits,
  ...storage,
  ...redis,
  ...stream,
  ...scheduling,
  ...orders,
  ...deadlines,
  ...outbound,
  ...upkeep,
};

/** The settings by subject, as the documentation lists them. */
export const SECTIONS = {
  'Address and access': access,
  'Rate limits': limits,
  Postgres: storage,
  Redis: redis,
  'The stream': stream,
  'Scheduling and placing': scheduling,
  'Orders and prices': orders,
  'Deadlines and ETA': deadlines,
  'Payments and messages': outbound,
  'Retention and logs': upkeep,
};
