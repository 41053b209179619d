/** Reads what a run has left, as lines of a history: rows, views, messages, dead letters and the provider's books. */
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { Redis } from 'ioredis';
import pg from 'pg';
import pino from 'pino';
import type { HistoryLine } from '../../cmd/audit/history.ts';
import { readConfig } from '../../cmd/config.ts';
import { deliveryService } from '../../cmd/services/delivery-service.ts';
import { inventoryService } from '../../cmd/services/inventory-service.ts';
import { notificationService } from '../../cmd/services/notification-service.ts';
import { orderService } from '../../cmd/services/order-service.ts';
import { paymentService } from '../../cmd/services/payment-service.ts';
import { processingService } from '../../cmd/services/processing-service.ts';
import { queryService } from '../../cmd/services/query-service.ts';
import { restaurantService } from '../../cmd/services/restaurant-service.ts';
import { schedulerWorker } from '../../cmd/services/scheduler-worker.ts';
import { type Wiring, wire } from '../../cmd/wire.ts';
import type { OrderId } from '../../internal/domain/order.ts';
import { inventoryItems, reservations } from '../../internal/repository/postgres/schema/inventory.ts';
import { orders } from '../../internal/repository/postgres/schema/orders.ts';
import { payments } from '../../internal/repository/postgres/schema/payments.ts';
import { deadLetters, events, processedEvents } from '../../internal/repository/postgres/schema/stream.ts';
import type { Post } from '../support/notification-provider.ts';
import type { Authorization } from './providers.ts';

/** Views that are built anew stand under this prefix, beside the live ones. */
const REBUILT = 'rebuilt';
const VIEWS_AT_ONCE = 200;

export interface Left {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** The stock of each item at the beginning. */
  readonly initialStock: ReadonlyMap<string, number>;
  readonly books: readonly Authorization[];
  readonly posts: readonly Post[];
}

export async function endState(left: Left): Promise<HistoryLine[]> {
  const { databaseUrl, redisUrl } = left;
  const env = { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, REDIS_PREFIX: REBUILT, SEED: 'none' };
  const config = { ...readConfig(env), DATABASE_URL: databaseUrl, REDIS_URL: redisUrl };
  const wiring = await wire(config, pino({ level: 'silent' }));
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  const redis = new Redis(redisUrl);
  try {
    const db = drizzle({ client: pool });
    const rows = await rowsOf(db, left.initialStock);
    const ids = rows.flatMap((line) =>
      line.type === 'state' && line.kind === 'order' ? [line.orderId] : [],
    );
    return [
      ...rows,
      ...consumersOf(wiring),
      ...(await viewsOf(wiring, redis, ids)),
      ...left.books.map((book): HistoryLine => ({ type: 'state', kind: 'authorization', ...book })),
      ...messagesOf(left.posts),
    ];
  } finally {
    redis.disconnect();
    await pool.end();
    await wiring.close();
  }
}

async function rowsOf(db: NodePgDatabase, initialStock: ReadonlyMap<string, number>): Promise<HistoryLine[]> {
  const lines: HistoryLine[] = [];
  for (const row of await db.select().from(orders))
    lines.push({
      type: 'state',
      kind: 'order',
      orderId: row.orderId,
      status: row.status,
      ...(row.reason === null ? {} : { reason: row.reason }),
      dueAt: row.dueAt,
      totalMinor: row.total,
      hasItems: (row.content?.items?.length ?? 0) > 0,
      ...(row.restaurantId === null ? {} : { restaurantId: row.restaurantId }),
      isDelivered: row.content?.deliveryAddress !== undefined || row.content?.toCustomer === true,
      version: row.version,
      timeline: row.timeline.map((entry) => ({ ...entry })),
    });
  for (const { eventId, eventType, orderId, topic, record, storedAt } of await db.select().from(events)) {
    // A record on a topic of its own was produced by a stranger.
    if (eventId === null || topic !== null) continue;
    const { version, dueAt } = (record as { payload: { version?: number; dueAt?: string } }).payload;
    lines.push({
      type: 'state',
      kind: 'event',
      eventId,
      eventType,
      orderId,
      at: storedAt,
      ...(version === undefined ? {} : { version }),
      ...(dueAt === undefined ? {} : { dueAt: Date.parse(dueAt) }),
    });
  }
  for (const { orderId, state, authorized, captured, refunded } of await db.select().from(payments))
    lines.push({
      type: 'state',
      kind: 'payment',
      orderId,
      state,
      authorizedMinor: authorized,
      capturedMinor: captured,
      refundedMinor: refunded,
    });
  for (const { itemId, stockCount } of await db.select().from(inventoryItems)) {
    const initial = initialStock.get(itemId);
    if (initial !== undefined)
      lines.push({ type: 'state', kind: 'stock', itemId, initial, left: stockCount });
  }
  for (const { orderId, state, lines: reserved } of await db.select().from(reservations))
    lines.push({
      type: 'state',
      kind: 'reservation',
      orderId,
      state,
      lines: reserved.map((one) => ({ ...one })),
    });
  for (const { consumer, eventId, orderId } of await db.select().from(deadLetters))
    lines.push({ type: 'state', kind: 'dead-letter', consumer, eventId, orderId });
  for (const { consumer, eventId } of await db.select().from(processedEvents))
    lines.push({ type: 'state', kind: 'processed', consumer, eventId });
  return lines;
}

function consumersOf(wiring: Wiring): HistoryLine[] {
  return [
    orderService,
    schedulerWorker,
    processingService,
    inventoryService,
    paymentService,
    restaurantService,
    deliveryService,
    notificationService,
    queryService,
  ]
    .flatMap((service) => service(wiring).consumers ?? [])
    .map(({ name, types, isIdempotent }) => ({
      type: 'state',
      kind: 'consumer',
      consumer: name,
      types: [...types],
      marks: isIdempotent !== true,
    }));
}

/** The live view of each order, and one that is built anew by the same code. */
async function viewsOf(
  { views, viewSource }: Wiring,
  redis: Redis,
  ids: readonly string[],
): Promise<HistoryLine[]> {
  const lines: HistoryLine[] = [];
  for (let n = 0; n < ids.length; n += VIEWS_AT_ONCE) {
    const some = ids.slice(n, n + VIEWS_AT_ONCE);
    await views.put(await viewSource.read(some as OrderId[]));
    for (const [source, prefix] of [
      ['live', ''],
      ['rebuilt', `${REBUILT}:`],
    ] as const) {
      const found = await redis.mget(some.map((id) => `${prefix}order:${id}`));
      for (const [index, text] of found.entries())
        if (text !== null)
          lines.push({
            type: 'state',
            kind: 'view',
            orderId: some[index] as string,
            source,
            value: JSON.parse(text),
          });
    }
  }
  return lines;
}

/** The provider delivers a message once for each idempotency key. */
function messagesOf(posts: readonly Post[]): HistoryLine[] {
  const delivered = new Map(posts.map((post) => [post.key ?? crypto.randomUUID(), post]));
  return [...delivered.values()].map(({ body: { template, variables } }) => ({
    type: 'state',
    kind: 'message',
    orderId: variables.orderId ?? '',
    template,
  }));
}
