/** Redelivers and shuffles events as a stream may: the orders, stock, payments and messages are the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { readConfig } from '../../../cmd/config.ts';
import { deliveryService } from '../../../cmd/services/delivery-service.ts';
import { inventoryService } from '../../../cmd/services/inventory-service.ts';
import { notificationService } from '../../../cmd/services/notification-service.ts';
import { orderService } from '../../../cmd/services/order-service.ts';
import { paymentService } from '../../../cmd/services/payment-service.ts';
import { processingService } from '../../../cmd/services/processing-service.ts';
import { queryService } from '../../../cmd/services/query-service.ts';
import { restaurantService } from '../../../cmd/services/restaurant-service.ts';
import { wire } from '../../../cmd/wire.ts';
import type { OrderId } from '../../../internal/domain/order.ts';
import { TOPICS } from '../../../internal/domain/topics.ts';
import { changeOrder } from '../../../internal/service/orders/change-order.ts';
import { composeContent } from '../../../internal/service/orders/compose-order.ts';
import { placeOrders } from '../../../internal/service/orders/place-order.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import type { AnyConsumer } from '../../../internal/service/stream/consumer.ts';
import { ADDRESS, readyEvent } from '../../support/builders.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { freshDatabase, freshRedis } from '../../support/servers.ts';

const ORDERS = 60;
const SERVICES = [
  orderService,
  processingService,
  inventoryService,
  paymentService,
  restaurantService,
  deliveryService,
  notificationService,
  queryService,
];

/** Arranges a consumer's events for delivery; each list is a batch. */
type Shuffle = (events: readonly Stored[]) => Stored[][];

interface Stored {
  readonly event_type: string;
  readonly order_id: string;
  readonly record: unknown;
  readonly position: string;
}

const asItComes: Shuffle = (events) => [[...events]];

/** Interleaves orders and cuts batches at random; redelivers each batch twice, then four batches so far. */
const hostile: Shuffle = (events) => {
  const queues = new Map<string, Stored[]>();
  for (const event of events) queues.set(event.order_id, [...(queues.get(event.order_id) ?? []), event]);
  const batches: Stored[][] = [];
  let batch: Stored[] = [];
  while (queues.size > 0) {
    const [id, queue] = [...queues][Math.floor(Math.random() * queues.size)] as [string, Stored[]];
    batch.push(queue.shift() as Stored);
    if (queue.length === 0) queues.delete(id);
    if (Math.random() < 0.15) {
      batches.push(batch);
      batch = [];
    }
  }
  batches.push(batch);
  return batches.flatMap((one, n) => {
    const before = batches.slice(0, n + 1);
    const again = Array.from(
      { length: 4 },
      () => before[Math.floor(Math.random() * before.length)] as Stored[],
    );
    return [one, [...one, ...one], ...again];
  });
};

async function runWith(shuffle: Shuffle) {
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  const config = readConfig({ DATABASE_URL: database.url, REDIS_URL: redis.url, DATABASE_POOL: '5' });
  const wiring = await wire({ ...config, DATABASE_URL: database.url, REDIS_URL: redis.url }, recordingLog());
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    const ids = await place(wiring);
    const consumers = SERVICES.flatMap((service) => service(wiring).consumers ?? []);
    await ready(wiring, client, ids);
    await deliverAll(wiring, client, consumers, shuffle);
    // Cancels every fifth order, after the orders have advanced as far as they can without a person.
    for (const id of ids.filter((_, n) => n % 5 === 0))
      await changeOrder(
        { ...wiring, newEventId: wiring.newId },
        { id, commands: () => [{ type: 'cancel' }], origin: { producer: 'test' } },
      ).catch(() => {});
    await deliverAll(wiring, client, consumers, shuffle);
    return await outcome(client);
  } finally {
    await client.end();
    await wiring.close();
    await Promise.all([database.drop(), redis.drop()]);
  }
}

type Wired = Awaited<ReturnType<typeof wire>>;

async function place(wiring: Wired): Promise<OrderId[]> {
  // Enough capacity for all orders, since otherwise the first delivery would get the last place.
  await wiring.riders.put({ id: 'roomy', name: 'Roomy', isOnDuty: true, capacity: 1_000 }, Date.now());
  await wiring.catalogue.addRestaurant({
    id: 'auto',
    name: 'Auto',
    isActive: true,
    acceptance: 'automatic',
    address: '',
    preparationS: 60,
  });
  for (const [id, stockCount] of [
    ['plenty', 10_000],
    ['gone', 0],
  ] as const)
    await wiring.catalogue.addItem(
      { id, restaurantId: 'auto', name: id, priceMinor: 700, isActive: true },
      { stockCount, threshold: 0 },
    );
  const commands = await Promise.all(
    Array.from({ length: ORDERS }, async (_, n) => {
      const id = `order-${n}` as OrderId;
      const content = await composeContent(wiring, {
        id,
        customerId: `customer-${n % 7}`,
        ...(n % 3 === 0 ? {} : { restaurantId: 'auto' }),
        ...(n % 3 === 1 ? { deliveryAddress: ADDRESS } : {}),
        paymentToken: n % 7 === 0 ? 'tok_decline' : 'tok_approve',
        lines: [{ itemId: n % 11 === 0 ? 'gone' : 'plenty', quantity: 1 + (n % 4) }],
      });
      return { content, fingerprint: id, origin: { producer: 'test' } };
    }),
  );
  await placeOrders({ ...wiring, newEventId: wiring.newId }, commands);
  return commands.map(({ content }) => content.id);
}

/** Publishes the order.ready event of each order, as the scheduler does at its due time. */
async function ready(wiring: Wired, client: pg.Client, ids: readonly OrderId[]): Promise<void> {
  const { rows } = await client.query('SELECT order_id, due_at FROM orders WHERE order_id = ANY($1)', [ids]);
  await wiring.bus.publish(
    rows.map(({ order_id, due_at }) => readyEvent(order_id, due_at.getTime(), wiring.newId())),
  );
}

/** Delivers to every consumer the events that it has not received, until no new events follow. */
async function deliverAll(
  wiring: Wired,
  client: pg.Client,
  consumers: readonly AnyConsumer[],
  shuffle: Shuffle,
): Promise<void> {
  const had = new Map<AnyConsumer, Set<string>>(consumers.map((consumer) => [consumer, new Set()]));
  for (let isBusy = true; isBusy; ) {
    isBusy = false;
    for (const consumer of consumers) {
      const { rows } = await client.query<Stored>(
        'SELECT event_type, order_id, record, position FROM events WHERE topic IS NULL ORDER BY transaction_id, position',
      );
      const known = had.get(consumer) as Set<string>;
      const fresh = rows.filter((row) => isFor(consumer, row) && !known.has(row.position));
      if (fresh.length === 0) continue;
      isBusy = true;
      for (const { position } of fresh) known.add(position);
      const { handle } = subscriptionOf(wiring, consumer);
      for (const batch of shuffle(fresh)) {
        const deliveries = batch.map(({ event_type, order_id, record, position }) => ({
          topic: event_type,
          key: order_id,
          position,
          record,
        }));
        if (deliveries.length > 0) await handle({ deliveries, settle: async () => {} });
      }
    }
  }
}

function isFor(consumer: AnyConsumer, { event_type }: Stored): boolean {
  const topics = TOPICS[event_type as keyof typeof TOPICS] ?? [];
  return (
    consumer.types.includes(event_type as never) && topics.some((topic) => consumer.topics.includes(topic))
  );
}

/** The stored rows and the number of events of each type, without times and ids. */
async function outcome(client: pg.Client) {
  const rows = async (text: string) => (await client.query(text)).rows;
  return {
    orders: await rows(
      `SELECT order_id, status, reason, (SELECT json_agg(coalesce(entry->>'status', entry->>'fact')) FROM jsonb_array_elements(timeline) AS entry) AS timeline FROM orders ORDER BY 1`,
    ),
    stock: await rows(
      `SELECT item_id, stock_count FROM inventory_items WHERE item_id IN ('plenty', 'gone') ORDER BY 1`,
    ),
    reservations: await rows('SELECT order_id, lines, state FROM reservations ORDER BY 1'),
    ledger: await rows(
      'SELECT order_id, state, requested, authorized, captured, refunded, reason FROM payments ORDER BY 1',
    ),
    tickets: await rows('SELECT order_id, state FROM tickets ORDER BY 1'),
    carrying: await rows('SELECT sum(carrying)::int AS carrying FROM riders'),
    messages: await rows('SELECT order_id, template, state FROM notifications ORDER BY 1, 2'),
    announced: await rows(
      `SELECT event_type, order_id, record->'payload'->>'template' AS template, record->'payload'->>'fact' AS fact, count(*)::int AS times FROM events
       WHERE event_type NOT LIKE 'timer.%' AND event_type NOT IN ('order.ready', 'eta.updated') GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`,
    ),
    letters: await rows('SELECT consumer, error FROM dead_letters'),
  };
}

test('redelivered and shuffled events lead to the same orders, stock, payments and messages as events delivered once in order', async () => {
  const clean = await runWith(asItComes);
  const shuffled = await runWith(hostile);
  assert.deepEqual(clean.letters, []);
  assert.deepEqual(
    clean.announced.filter(({ times }) => times !== 1),
    [],
  );
  assert.ok(new Set(clean.orders.map(({ status }) => status)).size >= 4, 'orders end in several statuses');
  assert.deepEqual(shuffled, clean);
});
