/** One run: starts servers and processes, lets the world go on while faults come one after the other, and audits what is left. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { audit, type Report } from '../../cmd/audit/audit.ts';
import { historyOf } from '../../cmd/audit/history.ts';
import { answerTickets, look, ride, serveCounter } from '../../cmd/demo/town.ts';
import { buildWorld, hasEnded, type World } from '../../cmd/demo/world.ts';
import { startProvider } from '../support/notification-provider.ts';
import { until } from '../support/until.ts';
import { cause } from './causes.ts';
import { type ChaosClient, chaosClient } from './clients.ts';
import { customersOf, type Kitchen } from './customers.ts';
import { endState } from './end-state.ts';
import { type Fleet, fleetOf } from './fleet.ts';
import { recorder } from './history.ts';
import { describeFault, type Fault, type Stream } from './plan.ts';
import { startPayments } from './providers.ts';
import { untilQuiet } from './quiet.ts';
import { type Recovery, recover } from './recovery.ts';
import { startServers } from './servers.ts';

export interface Experience extends Recovery {
  readonly fault: Fault;
  /** False if the fault did not come about. */
  readonly happened: boolean;
}

export interface Outcome {
  readonly report: Report;
  readonly experiences: readonly Experience[];
  /** Why the run fails although every invariant holds. */
  readonly complaints: readonly string[];
  readonly orders: number;
  readonly historyFile: string;
}

export interface RunOptions {
  readonly stream: Stream;
  readonly plan: readonly Fault[];
  readonly orders: number;
  readonly say: (line: string) => void;
}

/** Orders go on within this time after each fault. */
const RECOVERY_LIMIT_MS = 30_000;
const QUIET_LIMIT_MS = 120_000;
const START_LIMIT_MS = 90_000;
const ORDER_EVERY_MS = 200;
/** Orders are on their way when a fault begins. */
const HEAD_START_MS = 1_000;
const SKEW_MS = 100;
const MANY_FAULTS = 12;
const PROGRESS_MS = 2_000;

export async function run(options: RunOptions): Promise<Outcome> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-chaos-'));
  fs.chmodSync(dir, 0o755);
  const closing: (() => unknown)[] = [];
  const onSignal = () => void closeAll(closing).finally(() => process.exit(130));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, onSignal);
  try {
    return await runIn(dir, options, closing);
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal);
    await closeAll(closing);
  }
}

async function closeAll(closing: (() => unknown)[]): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close();
}

async function runIn(
  dir: string,
  { stream, plan, orders, say }: RunOptions,
  closing: (() => unknown)[],
): Promise<Outcome> {
  const servers = await startServers(dir, stream);
  closing.push(() => servers.stop());
  const { proxies } = servers;
  const messages = await startProvider();
  closing.push(() => messages.down());
  let urlOf = (_method: string, _path: string) => '';
  const payments = await startPayments(() => `${urlOf('POST', '/webhooks/payments')}/webhooks/payments`);
  closing.push(() => payments.close());
  const fleet = fleetOf(
    {
      DATABASE_URL: proxies.postgres?.url ?? '',
      REDIS_URL: proxies.redis?.url ?? '',
      ...(proxies.kafka ? { KAFKA_BROKERS: new URL(proxies.kafka.url).host } : {}),
      DATABASE_POOL: '4',
      SEED: 'none',
      DISPATCH_LEASE_MS: '2000',
      PAYMENT_URL: payments.url,
      PAYMENT_WEBHOOK_SECRET: payments.secret,
      NOTIFICATION_URL: messages.url,
      DEADLINE_PROCESSING_S: '60',
      DEADLINE_ACCEPTANCE_S: '60',
      DEADLINE_RIDER_S: '60',
      DEADLINE_PICK_UP_S: '60',
      DEADLINE_DELIVERY_S: '60',
      DEADLINE_COLLECTION_S: '60',
      ETA_REFRESH_MS: '2000',
    },
    dir,
  );
  closing.push(() => fleet.stop());
  await startFleet(fleet, stream);
  urlOf = (method, url) => fleet.members.get(serverOf(method, url))?.url ?? '';

  const history = recorder();
  const client = chaosClient(urlOf, history);
  const world = await buildWorld(client);
  const kitchen = await addKitchen(client);
  const initialStock = new Map(world.items.map(({ id, stock }) => [id, stock]));
  initialStock.set(kitchen.itemId, KITCHEN_STOCK);

  const started = performance.now();
  const experiences: Experience[] = [];
  const complaints: string[] = [];
  let now = 'begins';
  const progress = setInterval(() => {
    const ended = [...world.orders.values()].filter(hasEnded).length;
    const seconds = Math.round((performance.now() - started) / 1_000);
    say(`${seconds} s | ${now} | ${world.orders.size} orders, ${ended} ended | ${client.retries()} retries`);
  }, PROGRESS_MS);
  closing.push(() => clearInterval(progress));
  const close = openTown(world);
  closing.push(close);

  const each = Math.ceil(orders / plan.length);
  const placeSome = customersOf(world, kitchen);
  for (const [n, fault] of plan.entries()) {
    now = `${n + 1}/${plan.length} ${describeFault(fault)}`;
    const batch = placeSome(each, ORDER_EVERY_MS).catch((error: Error) => {
      complaints.push(error.message);
    });
    await pause(HEAD_START_MS);
    const happened = await cause(fault, { fleet, servers });
    const recovery = await recover({ urlOf, world, fleet, history }, RECOVERY_LIMIT_MS);
    experiences.push({ fault, happened, ...recovery });
    if (recovery.ordersMs === undefined || recovery.readyMs === undefined) {
      complaints.push(`not recovered within ${RECOVERY_LIMIT_MS / 1_000} s: ${describeFault(fault)}`);
      for (const member of fleet.members.values())
        if (!(await member.isReady()))
          complaints.push(`${member.name} is not ready: ${await member.readiness()}`);
    }
    await batch;
  }

  now = 'until all is quiet';
  const open = await untilQuiet(servers.databaseUrl, QUIET_LIMIT_MS);
  if (open) complaints.push(`not quiet within ${QUIET_LIMIT_MS / 1_000} s: ${open}`);
  await close();
  clearInterval(progress);
  const endedAt = Date.now();
  complaints.push(...world.surprises);
  const lines = [
    ...history.lines,
    { type: 'state' as const, kind: 'run' as const, endedAt, skewMs: SKEW_MS },
    ...(await endState({
      databaseUrl: servers.databaseUrl,
      redisUrl: servers.redis.primary().url,
      initialStock,
      books: payments.books,
      posts: messages.posts,
    })),
    ...experiences
      .filter(({ happened }) => happened)
      .map(({ fault }) => ({ type: 'state' as const, kind: 'mark' as const, name: fault.kind })),
  ];
  const historyFile = path.join(dir, 'history.jsonl');
  fs.writeFileSync(historyFile, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const report = audit(historyOf(lines), neededMarks(plan));
  return { report, experiences, complaints, orders: world.orders.size, historyFile };
}

/** Every transition and race that the customers of a batch are there for, and each fault of the plan. */
function neededMarks(plan: readonly Fault[]): string[] {
  return [
    ...['place:ok', 'cancel:ok', 'cancel:fail', 'reschedule:ok', 'reschedule:fail'],
    // A few orders may miss the moment of their start.
    ...(plan.length < MANY_FAULTS ? [] : ['cancel~start', 'reschedule~start']),
    ...['CREATED>CANCELLED', 'CREATED>PROCESSING', 'PROCESSING>COMPLETED', 'PROCESSING>CONFIRMED'],
    ...['PROCESSING>FAILED', 'CONFIRMED>REJECTED', 'PREPARING>CANCELLED', 'OUT_FOR_DELIVERY>DELIVERED'],
    ...new Set(plan.map(({ kind }) => kind)),
  ];
}

async function startFleet(fleet: Fleet, stream: Stream): Promise<void> {
  await Promise.all([
    fleet.add('order-service', 'order-service'),
    ...(stream === 'kafka' ? [fleet.add('event-relay', 'event-relay')] : []),
    ...[1, 2].map((n) => fleet.add(`scheduler-worker-${n}`, 'scheduler-worker')),
    ...[1, 2].map((n) => fleet.add(`processing-service-${n}`, 'processing-service')),
    fleet.add('inventory-service', 'inventory-service'),
    fleet.add('payment-service', 'payment-service'),
    fleet.add('restaurant-service', 'restaurant-service'),
    fleet.add('delivery-service', 'delivery-service'),
    fleet.add('query-service', 'query-service', 'notification-service'),
  ]);
  for (const member of fleet.members.values())
    await until(`${member.name} to be ready`, member.isReady, START_LIMIT_MS);
}

/** The process that serves a path. */
function serverOf(method: string, url: string): string {
  if (url.startsWith('/v1/restaurants/')) return 'restaurant-service';
  if (url.startsWith('/v1/riders/')) return 'delivery-service';
  if (url.startsWith('/api/v1/inventory/')) return 'inventory-service';
  if (url.startsWith('/webhooks/') || url.endsWith('/payment')) return 'payment-service';
  return method === 'GET' && url.startsWith('/v1/orders/') ? 'query-service' : 'order-service';
}

const KITCHEN_STOCK = 100_000;

/** A restaurant whose orders are rejected. */
async function addKitchen(client: ChaosClient): Promise<Kitchen> {
  const location = { lat: 18.936, lng: 72.826 };
  const restaurant = { name: 'Closed Kitchen', acceptance: 'manual', address: '9 Demo Road', location };
  const added = await client.ask('POST', '/api/v1/inventory/add/restaurant', restaurant);
  const restaurantId: string = added.body.id;
  const item = { name: 'Dish', price: 5, initial_qty: KITCHEN_STOCK };
  const menu = await client.ask('POST', `/api/v1/inventory/add/${restaurantId}/item`, item);
  return { restaurantId, itemId: menu.body.id };
}

const ROUNDS = [
  { round: answerTickets, everyMs: 500 },
  { round: serveCounter, everyMs: 700 },
  { round: ride, everyMs: 700 },
  { round: (world: World) => look(world, 30), everyMs: 1_000 },
];

/** Restaurants, riders and readers, until it is called. */
function openTown(world: World): () => Promise<void> {
  let open = true;
  const rounds = ROUNDS.map(async ({ round, everyMs }) => {
    while (open) {
      await round(world).catch((error: Error) => world.surprises.push(error.message));
      await pause(everyMs);
    }
  });
  return async () => {
    open = false;
    await Promise.all(rounds);
  };
}
