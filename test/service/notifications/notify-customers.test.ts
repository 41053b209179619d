/** Tests of notifying customers on a real Postgres with an HTTP provider: order, retries, outages and redelivery. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type pg from 'pg';
import { fact } from '../../../internal/domain/announce.ts';
import type { Delivery } from '../../../internal/domain/delivery.ts';
import { TiffinError } from '../../../internal/domain/errors.ts';
import type { Event, EventType, Payload } from '../../../internal/domain/events.ts';
import type { Customer } from '../../../internal/domain/notification.ts';
import type { OrderId, OrderStatus } from '../../../internal/domain/order.ts';
import { toRfc3339 } from '../../../internal/domain/schedule.ts';
import { migrateDatabase, openPool } from '../../../internal/repository/postgres/database.ts';
import { postgresNotifications } from '../../../internal/repository/postgres/notifications/notifications.ts';
import { postgresOrderStore } from '../../../internal/repository/postgres/orders/order-store.ts';
import { postgresTimers } from '../../../internal/repository/postgres/scheduling/timers.ts';
import { postgresDeadLetters } from '../../../internal/repository/postgres/stream/dead-letters.ts';
import { postgresTransactions } from '../../../internal/repository/postgres/transactions.ts';
import { notifyConsumer, retryConsumer } from '../../../internal/service/notifications/notify-customers.ts';
import type { Transactions } from '../../../internal/service/ports.ts';
import { subscriptionOf } from '../../../internal/service/stream/consume.ts';
import { replayLetters } from '../../../internal/service/stream/replay-letters.ts';
import { httpNotifications } from '../../../internal/transport/outbound/http-notifications.ts';
import { CONTENTS, createdEvent, placedOrder } from '../../support/builders.ts';
import { failingTransactions } from '../../support/failing-transactions.ts';
import { deliveryOf } from '../../support/in-memory-bus.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
import { type ManualClock, manualClock, NOON } from '../../support/manual-clock.ts';
import { startProvider, type TestProvider } from '../../support/notification-provider.ts';
import { recordingLog, recordingMeter } from '../../support/recording-log.ts';
import { freshDatabase } from '../../support/servers.ts';
import { shuffled } from '../../support/shuffled.ts';

const JOURNEY = ['ACCEPTED', 'PREPARING', 'RIDER_ASSIGNED', 'OUT_FOR_DELIVERY', 'DELIVERED'] as const;
const TEMPLATES = ['PLACED', 'ACCEPTED', 'RIDER_ASSIGNED', 'PICKED_UP', 'DELIVERED'].map(
  (word) => `ORDER_${word}`,
);
const HOUR = 3_600_000;

let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: pg.Pool;
let provider: TestProvider;
let clock: ManualClock;
let etas: Map<string, number>;

before(async () => {
  database = await freshDatabase();
  await migrateDatabase(database.url);
  pool = openPool(database.url, { max: 8, onError: () => {} });
});
after(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(async () => {
  await pool.query('TRUNCATE orders, events, notifications, timers, processed_events, dead_letters');
  clock = manualClock();
  etas = new Map();
  provider = await startProvider();
});

afterEach(() => provider.down());

/** The notification-service of one process. */
function service(transactions: Transactions = postgresTransactions(pool, () => {})) {
  const log = recordingLog();
  const http = httpNotifications(provider.url, 2_000);
  let attempts = 0;
  const deps = {
    transactions,
    deadLetters: postgresDeadLetters(pool),
    notifications: postgresNotifications(pool),
    deliveries: {
      find: async (ids: readonly OrderId[]) =>
        new Map(
          ids.flatMap((id) => {
            const median = etas.get(id);
            const eta = median === undefined ? {} : { eta: { median, p90: median, computedAt: NOON } };
            const delivery: Delivery = {
              orderId: id,
              state: 'REQUESTED',
              attempts: 0,
              requestedAt: NOON,
              ...eta,
            };
            return [[id, delivery] as const];
          }),
        ),
    },
    provider: {
      send: (...message: Parameters<typeof http.send>) => {
        attempts += 1;
        return http.send(...message);
      },
    },
    clock,
    log,
    meter: recordingMeter(),
    timers: postgresTimers(pool),
    queue: memoryQueue(clock),
    newEventId: randomUUID,
    eventIdFor: (name: string) =>
      createHash('md5')
        .update(name)
        .digest('hex')
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    timeZone: 'UTC',
  };
  const consumer = subscriptionOf(deps, notifyConsumer(deps));
  const deliver = (events: readonly Event[]) =>
    consumer.handle({ deliveries: events.map((event) => deliveryOf(event)), settle: async () => {} });
  return {
    log,
    consumer,
    meter: deps.meter,
    attempts: () => attempts,
    deliver,
    replay: () => replayLetters(deps, retryConsumer(deps)),
    /** Delivers the events of all due timers in one batch; returns their number. */
    async runOut(): Promise<number> {
      const { rows } = await pool.query(
        'SELECT order_id, due_at FROM timers WHERE due_at <= $1 ORDER BY due_at',
        [new Date(clock.now())],
      );
      await deliver(
        rows.map((row) => eventOf(row.order_id, 'timer.notification', { dueAt: row.due_at.toISOString() })),
      );
      return rows.length;
    },
  };
}

/** Places an order and returns its order.created event. */
async function placed(id: string, customer: Customer = { customerId: `customer of ${id}` }): Promise<Event> {
  const order = placedOrder({ content: { ...CONTENTS.everything, id, ...customer }, at: clock.now() });
  const event = createdEvent(order, randomUUID());
  await postgresOrderStore(pool, () => {}).place([{ order, event, fingerprint: 'f' }]);
  return event;
}

function eventOf<T extends EventType>(orderId: string, type: T, payload: Payload<T>): Event {
  return fact(type, orderId, payload, { eventId: randomUUID(), at: clock.now(), producer: 'test' }) as Event;
}

function reached(orderId: string, status: Exclude<OrderStatus, 'CREATED'>, reason?: string): Event {
  clock.advance(1);
  const type = `order.${status.toLowerCase()}` as 'order.accepted';
  return eventOf(orderId, type, { status, version: 2, ...(reason ? { reason } : {}) });
}

const templatesOf = (orderId: string) =>
  provider.posts.filter(({ body }) => body.variables.orderId === orderId).map(({ body }) => body.template);
const announced = async (): Promise<string[]> =>
  (
    await pool.query(
      `SELECT order_id || ':' || (record->'payload'->>'template') AS name FROM events WHERE event_type = 'notification.sent' ORDER BY name`,
    )
  ).rows.map(({ name }) => name);
const stateOf = async (orderId: string) =>
  (await postgresNotifications(pool).find([orderId as OrderId])).map(
    ({ template, state }) => `${template} ${state}`,
  );
const everything = (ids: readonly string[]) =>
  ids.flatMap((id) => TEMPLATES.map((word) => `${id}:${word}`)).sort();

test('a customer gets a message for each notifiable status in order, and each message has an event', async () => {
  const { deliver } = service();
  await deliver([await placed('a')]);
  for (const status of JOURNEY) await deliver([reached('a', status)]);
  assert.deepEqual(templatesOf('a'), TEMPLATES);
  assert.deepEqual([...new Set(provider.posts.map(({ body }) => body.to))], ['customer of a']);
  assert.deepEqual(await announced(), everything(['a']));
  const { rows } = await pool.query(
    `SELECT record FROM events WHERE event_type = 'notification.sent' LIMIT 1`,
  );
  assert.deepEqual(rows[0].record.payload, {
    template: 'ORDER_PLACED',
    to: 'customer of a',
    sentAt: toRfc3339(NOON),
  });
  assert.equal((await pool.query('SELECT FROM timers')).rowCount, 0, 'no timer is left');
});

test('the message of an acceptance equals the documented example', async () => {
  const { deliver } = service();
  const created = await placed('ORD-1001', {
    customerId: 'CUST-123',
    contact: { name: 'Asha', phone: '+1-555-0100' },
  });
  etas.set('ORD-1001', Date.UTC(2025, 6, 2, 17, 35));
  await deliver([created, reached('ORD-1001', 'ACCEPTED')]);
  assert.deepEqual(provider.posts[1]?.body, {
    to: '+1-555-0100',
    template: 'ORDER_ACCEPTED',
    variables: { orderId: 'ORD-1001', eta: '17:35' },
  });
});

test('an order without a recipient causes no message, and none is stored', async () => {
  const { deliver } = service();
  await deliver([await placed('a', {}), reached('a', 'FAILED', 'OUT_OF_STOCK')]);
  assert.deepEqual(provider.posts, []);
  assert.deepEqual(await stateOf('a'), []);
});

test('the message of a failure contains the reason', async () => {
  const { deliver } = service();
  await deliver([await placed('a'), reached('a', 'FAILED', 'OUT_OF_STOCK')]);
  assert.deepEqual(provider.posts[1]?.body.variables, { orderId: 'a', reason: 'OUT_OF_STOCK' });
});

test('each message is sent and published once when its event is delivered five times in any order', async () => {
  const { deliver } = service();
  const ids = Array.from({ length: 12 }, (_, n) => `o${n}`);
  const events: Event[] = [];
  for (const id of ids) events.push(await placed(id), ...JOURNEY.map((status) => reached(id, status)));
  const many = shuffled([...events, ...events, ...events, ...events, ...events], 7);
  for (let at = 0; at < many.length; at += 31) await deliver(many.slice(at, at + 31));
  assert.equal(provider.posts.length, ids.length * TEMPLATES.length);
  assert.deepEqual(await announced(), everything(ids));
});

test('two events of the same status cause one message', async () => {
  const { deliver } = service();
  await deliver([await placed('a'), reached('a', 'ACCEPTED'), reached('a', 'ACCEPTED')]);
  await deliver([reached('a', 'ACCEPTED')]);
  assert.deepEqual(templatesOf('a'), ['ORDER_PLACED', 'ORDER_ACCEPTED']);
});

test('two processes that handle the same events publish each message once, and use the same idempotency key', async () => {
  const ids = Array.from({ length: 20 }, (_, n) => `o${n}`);
  const events: Event[] = [];
  for (const id of ids) events.push(await placed(id), ...JOURNEY.map((status) => reached(id, status)));
  const processes = [service(), service()];
  await Promise.all(
    processes.flatMap(({ deliver }, n) => [deliver(shuffled(events, n)), deliver(shuffled(events, n + 5))]),
  );
  assert.deepEqual(await announced(), everything(ids));
  assert.deepEqual([...new Set(provider.posts.map(({ key }) => key))].sort(), everything(ids));
});

test('an outage of the provider for an hour loses no message and causes few attempts', async () => {
  const { deliver, runOut, attempts, log } = service();
  await provider.down();
  const ids = Array.from({ length: 60 }, (_, n) => `o${n}`);
  const created: Event[] = [];
  for (const id of ids) created.push(await placed(id));
  await deliver(created);
  assert.ok(attempts() <= 16, `the rest of the batch is not attempted: ${attempts()} attempts`);
  for (const status of JOURNEY) await deliver(ids.map((id) => reached(id, status)));
  assert.ok(attempts() <= 16, 'a message behind a pending one is not attempted');
  const end = clock.now() + HOUR;
  let timersRun = 0;
  while (clock.now() < end) {
    timersRun += await runOut();
    clock.advance(5_000);
  }
  assert.ok(timersRun <= ids.length * 20, `timers run out rarely: ${timersRun} times`);
  assert.deepEqual(await announced(), []);
  assert.deepEqual(log.at('error'), []);
  await provider.up();
  for (let n = 0; n < 61; n++) {
    await runOut();
    clock.advance(5_000);
  }
  for (const id of ids) assert.deepEqual(templatesOf(id), TEMPLATES, 'each message once, the oldest first');
  assert.deepEqual(await announced(), everything(ids));
  assert.equal((await pool.query('SELECT FROM timers')).rowCount, 0);
  assert.deepEqual(await postgresDeadLetters(pool).list({ limit: 1 }), []);
});

test('a failed message is retried, and newer messages of its order wait behind it', async () => {
  const { deliver, runOut } = service();
  provider.answer = ({ body }) => (body.template === 'ORDER_PLACED' ? 500 : 202);
  await deliver([await placed('a'), await placed('b'), reached('b', 'ACCEPTED')]);
  await deliver([reached('a', 'ACCEPTED')]);
  assert.deepEqual([templatesOf('a'), templatesOf('b')], [['ORDER_PLACED'], ['ORDER_PLACED']]);
  assert.deepEqual(await stateOf('a'), ['ORDER_PLACED PENDING', 'ORDER_ACCEPTED PENDING']);
  clock.advance(5_000);
  provider.answer = () => 202;
  await runOut();
  assert.deepEqual(templatesOf('a'), ['ORDER_PLACED', 'ORDER_PLACED', 'ORDER_ACCEPTED']);
  assert.deepEqual(templatesOf('b'), ['ORDER_PLACED', 'ORDER_PLACED', 'ORDER_ACCEPTED']);
});

test('the delay between retries doubles up to five minutes', async () => {
  const { deliver, runOut } = service();
  provider.answer = () => 503;
  await deliver([await placed('a')]);
  const waits: number[] = [];
  for (let n = 0; n < 8; n++) {
    const { rows } = await pool.query('SELECT due_at FROM timers');
    const wait = rows[0].due_at.getTime() - clock.now();
    waits.push(wait / 1000);
    clock.advance(wait);
    await runOut();
  }
  assert.deepEqual(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
});

test('a refused message becomes a dead letter, later messages are sent, and a replay attempts it once more', async () => {
  const { deliver, replay, runOut, meter } = service();
  provider.answer = ({ body }) => (body.template === 'ORDER_PLACED' ? 422 : 202);
  await deliver([await placed('a')]);
  await deliver([reached('a', 'ACCEPTED')]);
  assert.deepEqual(templatesOf('a'), ['ORDER_PLACED', 'ORDER_ACCEPTED']);
  assert.deepEqual(await stateOf('a'), ['ORDER_PLACED GIVEN_UP', 'ORDER_ACCEPTED SENT']);
  const [letter] = await postgresDeadLetters(pool).list({ limit: 5 });
  assert.equal(letter?.error, 'ORDER_PLACED: the provider answered 422: an answer');
  assert.deepEqual([letter?.consumer, letter?.orderId], ['notification-service.retry', 'a']);
  assert.equal(meter.total('dead_letters'), 1);

  await postgresDeadLetters(pool).requestReplay(letter?.id ?? '');
  assert.equal(await replay(), 1);
  await runOut();
  assert.equal(
    (await postgresDeadLetters(pool).list({ limit: 5 })).length,
    1,
    'the refused replay adds a dead letter',
  );

  provider.answer = () => 202;
  const [again] = await postgresDeadLetters(pool).list({ limit: 5 });
  await postgresDeadLetters(pool).requestReplay(again?.id ?? '');
  await replay();
  await runOut();
  assert.deepEqual(await stateOf('a'), ['ORDER_PLACED SENT', 'ORDER_ACCEPTED SENT']);
  assert.deepEqual(await postgresDeadLetters(pool).list({ limit: 5 }), []);
  assert.deepEqual(await announced(), ['a:ORDER_ACCEPTED', 'a:ORDER_PLACED']);
});

test('a message is abandoned after a day', async () => {
  const { deliver, runOut } = service();
  await provider.down();
  await deliver([await placed('a')]);
  clock.advance(24 * HOUR);
  await runOut();
  assert.deepEqual(await stateOf('a'), ['ORDER_PLACED GIVEN_UP']);
  assert.equal((await pool.query('SELECT FROM timers')).rowCount, 0);
  assert.match(
    (await postgresDeadLetters(pool).list({ limit: 1 }))[0]?.error ?? '',
    /ORDER_PLACED: no response/,
  );
});

test('an event that is more than a day old causes no message', async () => {
  const { deliver } = service();
  const created = await placed('a');
  clock.advance(24 * HOUR);
  await deliver([created, reached('a', 'DELIVERED')]);
  assert.deepEqual(templatesOf('a'), ['ORDER_DELIVERED']);
});

test('a message that the provider has taken is not sent again when it could not be stored', async () => {
  const { deliver } = service(failingTransactions(pool, 3));
  const created = await placed('a');
  for (let n = 0; n < 3; n++) await assert.rejects(deliver([created]), { code: 'UNAVAILABLE' });
  await deliver([created]);
  assert.equal(provider.posts.length, 1);
  assert.deepEqual(await announced(), ['a:ORDER_PLACED']);
});

test('messages that were taken are stored although their batch fails afterwards, so another process sends none again', async () => {
  const { consumer } = service();
  const batch = [await placed('a'), await placed('b'), reached('a', 'ACCEPTED')].map((e) => deliveryOf(e));
  const settle = async () => {
    throw new TiffinError('UNAVAILABLE', 'the leadership of the stream was lost');
  };
  await assert.rejects(consumer.handle({ deliveries: batch, settle }), { code: 'UNAVAILABLE' });
  await service().consumer.handle({ deliveries: batch, settle: async () => {} });
  assert.equal(provider.posts.length, 3);
  assert.equal((await announced()).length, 3);
});

test('a message whose process died after sending it is sent again under the same key and published once', async () => {
  const created = await placed('a');
  const dying = service(failingTransactions(pool, 1));
  await assert.rejects(dying.deliver([created]), { code: 'UNAVAILABLE' });
  await service().deliver([created]);
  assert.deepEqual(
    provider.posts.map(({ key }) => key),
    ['a:ORDER_PLACED', 'a:ORDER_PLACED'],
  );
  assert.deepEqual(await announced(), ['a:ORDER_PLACED']);
});

test('a timer that runs out twice, or without pending messages, sends no message twice', async () => {
  const { deliver, runOut } = service();
  provider.answer = () => 500;
  await deliver([await placed('a')]);
  clock.advance(5_000);
  provider.answer = () => 202;
  const timer = eventOf('a', 'timer.notification', { dueAt: toRfc3339(clock.now()) });
  await Promise.all([runOut(), runOut(), deliver([timer]), deliver([timer])]);
  assert.deepEqual(await announced(), ['a:ORDER_PLACED']);
  assert.equal((await pool.query('SELECT FROM timers')).rowCount, 0);
});
