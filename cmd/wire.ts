/** The composition root: builds the dependencies of all services from the configuration, in one straight line. */
import { randomFillSync } from 'node:crypto';
import { parse, v5, v7 } from 'uuid';
import {
  faultOfDatabase,
  migrateDatabase,
  openPool,
  timeOfDatabase,
} from '../internal/repository/postgres/database.ts';
import { postgresDeliveries } from '../internal/repository/postgres/delivery/deliveries.ts';
import { postgresRiders } from '../internal/repository/postgres/delivery/riders.ts';
import { erasedAmong } from '../internal/repository/postgres/erased-orders.ts';
import { installationOf } from '../internal/repository/postgres/installation.ts';
import { postgresCatalogue } from '../internal/repository/postgres/inventory/catalogue.ts';
import { postgresMenus } from '../internal/repository/postgres/inventory/menus.ts';
import { seedCatalogue } from '../internal/repository/postgres/inventory/seeds.ts';
import { postgresInventory } from '../internal/repository/postgres/inventory/stock.ts';
import { consumerDelays } from '../internal/repository/postgres/maintenance/consumer-delays.ts';
import { postgresHistoryPartitions } from '../internal/repository/postgres/maintenance/history-partitions.ts';
import { postgresPersonalData } from '../internal/repository/postgres/maintenance/personal-data.ts';
import { postgresRetention } from '../internal/repository/postgres/maintenance/retention.ts';
import { postgresNotifications } from '../internal/repository/postgres/notifications/notifications.ts';
import { orderCache } from '../internal/repository/postgres/orders/order-cache.ts';
import { postgresOrderStore } from '../internal/repository/postgres/orders/order-store.ts';
import { postgresPayments } from '../internal/repository/postgres/payments/payments.ts';
import { postgresTickets } from '../internal/repository/postgres/restaurants/tickets.ts';
import { postgresOrderSchedule } from '../internal/repository/postgres/scheduling/order-schedule.ts';
import { postgresSchedulerSwitch } from '../internal/repository/postgres/scheduling/scheduler-switch.ts';
import { postgresTimers } from '../internal/repository/postgres/scheduling/timers.ts';
import { countLetters, postgresDeadLetters } from '../internal/repository/postgres/stream/dead-letters.ts';
import { postgresEventLog } from '../internal/repository/postgres/stream/event-log.ts';
import { openTransactions, secondsOpen } from '../internal/repository/postgres/stream/horizon.ts';
import { postgresTransactions } from '../internal/repository/postgres/transactions.ts';
import { postgresViewSource } from '../internal/repository/postgres/views/view-source.ts';
import { openRedis, probe, tagsOf } from '../internal/repository/redis/connection.ts';
import { redisDueQueue } from '../internal/repository/redis/due-queue.ts';
import { redisListener } from '../internal/repository/redis/listener.ts';
import { watchMemory } from '../internal/repository/redis/memory.ts';
import { redisOrderViews } from '../internal/repository/redis/order-views.ts';
import { redisRiderMoves } from '../internal/repository/redis/rider-moves.ts';
import { serverClock } from '../internal/repository/redis/server-clock.ts';
import { redisStoredViews } from '../internal/repository/redis/stored-views.ts';
import type { Loop } from '../internal/service/loop.ts';
import type { Log } from '../internal/service/ports.ts';
import type { AnyConsumer } from '../internal/service/stream/consumer.ts';
import type { EventBus } from '../internal/service/stream/ports.ts';
import { postgresBus } from '../internal/transport/events/postgres-bus.ts';
import type { Route } from '../internal/transport/http/route.ts';
import { trackingLinks } from '../internal/transport/http/tracking-links.ts';
import { httpNotifications, loggedNotifications } from '../internal/transport/outbound/http-notifications.ts';
import { httpPayments } from '../internal/transport/outbound/http-payments.ts';
import { simulatedPayments } from '../internal/transport/outbound/simulated-payments.ts';
import { type GaugeSource, prometheus } from '../internal/transport/telemetry/metrics.ts';
import { authentication, rateLimit } from './access.ts';
import { redisTlsOf } from './config/redis-access.ts';
import type { Config } from './config.ts';
import { openHistory } from './history.ts';
import { consumerGauges, openKafka } from './kafka-clients.ts';

/** The namespace of derived event ids, which are UUIDs of version 5 (RFC 9562). */
const EVENT_NAMESPACE = parse('5f0c2c3e-8a51-4d0a-9c39-7d3f1a2b9e10');

const DAY_S = 86_400;

/** A service: its routes, consumers, gauges and background loops. */
export interface Service {
  readonly name: string;
  /** Dependencies without which the service is not ready. */
  readonly needs: readonly ('postgres' | 'redis' | 'stream' | 'history')[];
  readonly routes?: readonly Route[];
  readonly consumers?: readonly AnyConsumer[];
  readonly gauges?: readonly GaugeSource[];
  readonly loops?: () => readonly Loop[];
  /** Why a loop without which the service is not ready does not do its work. */
  readonly fault?: () => string | undefined;
  /** Runs before the HTTP server closes; ends the responses that would keep it open. */
  readonly beforeStop?: () => void;
  /** Runs after the consumers and loops have stopped. */
  readonly drain?: () => Promise<void>;
}

export type Wiring = Awaited<ReturnType<typeof wire>>;

/** `client` is this process's name in the brokers' logs, figures and quotas. */
export async function wire(
  config: Config & { DATABASE_URL: string; REDIS_URL: string },
  log: Log,
  client = 'tiffin',
) {
  const directUrl = config.DATABASE_DIRECT_URL ?? config.DATABASE_URL;
  const isPooled = config.DATABASE_DIRECT_URL !== undefined;
  await migrateDatabase(directUrl, { isPooled });
  const telemetry = prometheus();
  let isClosing = false;
  const pool = openPool(config.DATABASE_URL, {
    max: config.DATABASE_POOL,
    isPooled,
    onError: (error) => {
      if (!isClosing) log.warn({ error: error.message }, 'a database connection was lost');
    },
  });
  if (config.SEED === 'demo') await seedCatalogue(pool);
  const redis = openRedis(config.REDIS_URL, log, redisTlsOf(config));
  const [firstShard = ''] = tagsOf(config.REDIS_PREFIX, 1);
  const clock = await serverClock(redis, `${firstShard}:due`, () => timeOfDatabase(pool), log);
  const cache = config.CACHE_REDIS_URL ? openRedis(config.CACHE_REDIS_URL, log, redisTlsOf(config)) : redis;
  const redisMemory = watchMemory(redis, log);
  const channel = `${config.REDIS_PREFIX}:order-views`;
  const { databaseId, trackingSecret } = await installationOf(pool);
  const viewListener = redisListener(cache, channel);
  const riderMoves = redisRiderMoves(cache, `${config.REDIS_PREFIX}:rider-moves`);
  const eventLog = postgresEventLog(pool, directUrl, log);
  const stored = openHistory(config, pool, clock, log);
  const known = orderCache();
  const transactions = postgresTransactions(pool, () => eventLog.signal(), known);
  const kafka = openKafka(config, { log, meter: telemetry.meter }, client);
  const bus: EventBus = kafka ?? postgresBus({ eventLog, transactions, log });
  return {
    config,
    log,
    clock,
    authenticate: authentication(config),
    limitRate: rateLimit(config, redis, log),
    meter: telemetry.meter,
    telemetry,
    eventLog,
    transactions,
    kafka,
    bus,
    consumerGauges: consumerGauges(bus, kafka),
    orders: postgresOrderStore(pool, () => eventLog.signal(), known),
    orderSchedule: postgresOrderSchedule(pool),
    catalogue: postgresCatalogue(pool),
    menus: postgresMenus(pool),
    inventory: postgresInventory(),
    payments: postgresPayments(pool),
    tickets: postgresTickets(pool),
    riders: postgresRiders(pool),
    deliveries: postgresDeliveries(pool),
    notifications: postgresNotifications(pool),
    timers: postgresTimers(pool),
    history: stored.history,
    erasedAmong: (ids: readonly string[]) => erasedAmong(pool, ids),
    historyPartitions: postgresHistoryPartitions(pool),
    retention: postgresRetention(pool),
    personalData: postgresPersonalData(pool),
    viewSource: postgresViewSource(pool),
    storedViews: redisStoredViews(cache, { prefix: config.REDIS_PREFIX, databaseId }),
    views: redisOrderViews(cache, clock, log, {
      prefix: config.REDIS_PREFIX,
      databaseId,
      statusTtlS: config.ORDER_STATUS_TTL_S,
      // A cache of its own evicts what is not read; in the Redis of the schedule every view takes memory from the schedule.
      endedTtlS: config.VIEW_TTL_S ?? (cache === redis ? DAY_S : 0),
      channel,
      isNearlyFull: cache === redis ? redisMemory.isNearlyFull : async () => false,
    }),
    viewListener,
    riderMoves,
    trackingLinks: trackingLinks(trackingSecret, clock),
    redisMemory,
    paymentProvider: config.PAYMENT_URL
      ? httpPayments({
          url: config.PAYMENT_URL,
          apiKey: config.PAYMENT_API_KEY,
          timeoutMs: config.PAYMENT_TIMEOUT_MS,
        })
      : simulatedPayments(),
    notificationProvider: config.NOTIFICATION_URL
      ? httpNotifications(config.NOTIFICATION_URL)
      : loggedNotifications(log),
    ...rulesOf(config),
    deadLetters: postgresDeadLetters(pool),
    schedulerSwitch: postgresSchedulerSwitch(pool),
    queue: redisDueQueue(redis, {
      prefix: config.REDIS_PREFIX,
      shards: config.SCHEDULE_SHARDS,
      leaseMs: config.DISPATCH_LEASE_MS,
      clock,
    }),
    consumerDelays: () => consumerDelays(pool),
    openLetters: () => countLetters(pool),
    openTransactions: async () => secondsOpen(await openTransactions(pool), clock.now()),
    newId: newIds(),
    eventIdFor: (name: string) => v5(Buffer.from(name), EVENT_NAMESPACE),
    faults: {
      postgres: () => faultOfDatabase(pool),
      redis: () => probe(redis, config.REDIS_PREFIX, config.SCHEDULE_SHARDS).then(() => undefined),
      stream: async () => bus.fault() ?? eventLog.fault(),
      history: stored.fault,
    },
    async close() {
      isClosing = true;
      clock.close();
      await bus.close();
      await eventLog.close();
      await stored.close();
      viewListener.close();
      riderMoves.close();
      if (cache !== redis) cache.disconnect();
      redis.disconnect();
      await pool.end();
    },
  };
}

/** The business rules of an installation: currency, pricing and deadlines. */
function rulesOf(config: Config) {
  const ms = (seconds: number) => seconds * 1_000;
  return {
    currency: config.CURRENCY,
    pricing: {
      discountAboveMinor: config.PRICE_DISCOUNT_ABOVE,
      discountPercent: config.PRICE_DISCOUNT_PERCENT,
      feeMinor: config.PRICE_FEE,
    },
    deadlines: {
      processing: ms(config.DEADLINE_PROCESSING_S),
      acceptance: ms(config.DEADLINE_ACCEPTANCE_S),
      rider: ms(config.DEADLINE_RIDER_S),
      pickUp: ms(config.DEADLINE_PICK_UP_S),
      delivery: ms(config.DEADLINE_DELIVERY_S),
      collection: ms(config.DEADLINE_COLLECTION_S),
    },
  };
}

/** Generates time-ordered UUIDs (version 7). Random bytes are fetched for 256 at once, to save system calls. */
function newIds(): () => string {
  const pool = new Uint8Array(16 * 256);
  let next = pool.length;
  return () => {
    if (next === pool.length) {
      randomFillSync(pool);
      next = 0;
    }
    next += 16;
    return v7({ random: pool.subarray(next - 16, next) });
  };
}
