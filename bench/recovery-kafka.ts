/** Measures how soon after each fault of Kafka orders go on, and when every process is ready. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../cmd/java/jvm.ts';
import { type KafkaBroker, startKafka } from '../cmd/kafka/broker.ts';
import { type Program, startProgram } from '../test/support/program.ts';
import { proxyTo, type ServerProxy } from '../test/support/proxy.ts';
import { withServers } from './servers.ts';
import { machineLine } from './table.ts';

const ROUNDS = Number(process.argv[2] ?? 3);
const ONLY = process.argv[3] ?? '';
const OUTAGE_MS = 8_000;
const STOPPED_MS = 20_000;
const LIMIT_MS = 60_000;
const WORK = ['scheduler-worker', 'processing-service', 'inventory-service', 'payment-service'];

interface Bench {
  readonly broker: KafkaBroker;
  readonly proxy: ServerProxy;
  readonly orders: Orders;
  /** The processes whose readiness is measured: event-relay and two with the other services. */
  readonly programs: Program[];
  start(services: readonly string[]): Promise<Program>;
}

/** Milliseconds from the end of the fault, or from its beginning where it does not end. */
interface Measured {
  /** Until an order that was placed meanwhile was CONFIRMED. */
  readonly placed: number;
  /** Until an order that came due meanwhile was COMPLETED. */
  readonly due: number;
  readonly ready: number;
  /** From the beginning of the fault until a process said that it is not ready. */
  readonly unready?: number | undefined;
}

type Fault = (bench: Bench) => Promise<Measured>;

const FAULTS: Readonly<Record<string, Fault>> = {
  'broker killed and started, from when it answers': (bench) =>
    outage(
      bench,
      OUTAGE_MS,
      async () => bench.broker.kill(),
      () => bench.broker.restart(),
    ),
  'broker stopped (SIGSTOP) for 20 s': (bench) => {
    const { pid } = bench.broker;
    return outage(
      bench,
      STOPPED_MS,
      async () => void process.kill(pid, 'SIGSTOP'),
      async () => void process.kill(pid, 'SIGCONT'),
    );
  },
  'network cut': ({ proxy, ...bench }) =>
    outage(
      { proxy, ...bench },
      OUTAGE_MS,
      () => proxy.cut(),
      () => proxy.restore(),
    ),
  'open connections silent, from their silence': async (bench) => {
    const unready = untilUnready(bench, 15_000);
    bench.proxy.silence();
    const since = performance.now();
    const [placed, due] = [await bench.orders.place(), await bench.orders.place(100)];
    const measured = await recovered(bench, since, placed, due);
    return { ...measured, unready: await unready };
  },
  'a process killed, from its death': async (bench) => {
    const [victim] = bench.programs.slice(1);
    await victim?.kill();
    const since = performance.now();
    // Enough orders for every partition.
    const placed = await Promise.all(Array.from({ length: 24 }, () => bench.orders.place()));
    const times = await Promise.all(placed.map((order) => order.done));
    bench.programs.splice(bench.programs.indexOf(victim as Program), 1, await bench.start(WORK));
    await ready(bench);
    const last = Math.max(...times) - since;
    return { placed: last, due: last, ready: Number.NaN };
  },
};

/** Begins the fault, places an order and lets another come due, ends the fault, and measures from then on. */
async function outage(
  bench: Bench,
  ms: number,
  begin: () => Promise<void>,
  end: () => Promise<void>,
): Promise<Measured> {
  const due = await bench.orders.place(ms / 2);
  const unready = untilUnready(bench, ms);
  const begun = performance.now();
  await begin();
  await pause(ms / 4);
  const placed = await bench.orders.place();
  await pause(ms - (performance.now() - begun));
  await end();
  return { ...(await recovered(bench, performance.now(), placed, due)), unready: await unready };
}

async function recovered(bench: Bench, since: number, placed: Placed, due: Placed): Promise<Measured> {
  const [placedAt, dueAt, readyAt] = await Promise.all([placed.done, due.done, ready(bench)]);
  return { placed: placedAt - since, due: dueAt - since, ready: readyAt - since };
}

async function isReady({ url }: Program): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  return answer?.status === 200;
}

/** The time from which every process is ready: the last time at which one was not. */
async function ready({ programs }: Bench): Promise<number> {
  const deadline = performance.now() + LIMIT_MS;
  let since = performance.now();
  for (let calm = 0; calm < 40; calm += 1) {
    if (performance.now() > deadline) return Number.POSITIVE_INFINITY;
    if (!(await Promise.all(programs.map(isReady))).every(Boolean)) {
      calm = 0;
      since = performance.now();
    }
    await pause(50);
  }
  return since;
}

/** Milliseconds until every process is not ready; undefined if that is not so within the limit. */
async function untilUnready({ programs }: Bench, withinMs: number): Promise<number | undefined> {
  const since = performance.now();
  while (performance.now() - since < withinMs) {
    if (!(await Promise.all(programs.map(isReady))).some(Boolean)) return performance.now() - since;
    await pause(50);
  }
  return undefined;
}

interface Placed {
  /** The time at which the order was there. */
  readonly done: Promise<number>;
}

interface Orders {
  /** An order with items that is CONFIRMED, or, due after so many ms, one of an amount that is COMPLETED. */
  place(dueInMs?: number): Promise<Placed>;
}

async function openOrders(api: Program, inventory: Program, databaseUrl: string): Promise<Orders> {
  const client = new pg.Pool({ connectionString: databaseUrl, max: 4 });
  client.on('error', () => {}); // the server ends its connections when the benchmark is interrupted
  const restaurant = await post(`${inventory.url}/api/v1/inventory/add/restaurant`, { name: 'Bench' });
  const item = { name: 'Dal', price: 4.5, initial_qty: 1_000_000 };
  const { id } = await post(`${inventory.url}/api/v1/inventory/add/${restaurant.id}/item`, item);
  const body = {
    user_id: 'bench',
    restaurant_id: restaurant.id,
    items: [{ menu_item_id: id, quantity: 1 }],
  };
  const reached = async (order: string, status: string) => {
    const deadline = performance.now() + LIMIT_MS;
    while (performance.now() < deadline) {
      const { rows } = await client.query(
        'SELECT FROM orders, jsonb_array_elements(timeline) AS entry WHERE order_id = $1 AND entry->>$2 = $3',
        [order, 'status', status],
      );
      if (rows.length > 0) return performance.now();
      await pause(20);
    }
    return Number.POSITIVE_INFINITY;
  };
  return {
    async place(dueInMs) {
      if (dueInMs === undefined) {
        const { order_id } = await post(`${api.url}/api/v1/orders`, body);
        return { done: reached(order_id, 'CONFIRMED') };
      }
      const scheduled_time = new Date(Date.now() + dueInMs).toISOString();
      const amount = { customer_name: 'Bench', total_price: 5, scheduled_time };
      return { done: reached((await post(`${api.url}/orders`, amount)).id, 'COMPLETED') };
    },
  };
}

async function post(
  url: string,
  body: unknown,
): Promise<Record<string, string> & { id: string; order_id: string }> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer.json() as Promise<Record<string, string> & { id: string; order_id: string }>;
}

/** The broker names the proxy's address to its clients, so that every connection of theirs goes through it. */
async function withBroker(work: (broker: KafkaBroker, proxy: ServerProxy) => Promise<void>): Promise<void> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-bench-kafka-'));
  const port = await freePort();
  const proxy = await proxyTo(`tcp://127.0.0.1:${port}`);
  const advertised = `PLAINTEXT://127.0.0.1:${new URL(proxy.url).port}`;
  const broker = await startKafka({ dir, port, properties: { 'advertised.listeners': advertised } });
  try {
    await work(broker, proxy);
  } finally {
    await broker.stop();
    await proxy.close();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

const seconds = (ms: number | undefined) =>
  ms === undefined || Number.isNaN(ms) ? '–' : Number.isFinite(ms) ? `${(ms / 1_000).toFixed(1)} s` : 'never';

/** The middle and the longest time. */
function spread(times: readonly (number | undefined)[]): string {
  const sorted = times.map((ms) => ms ?? Number.NaN).sort((a, b) => a - b);
  const [middle, longest] = [seconds(sorted[sorted.length >> 1]), seconds(sorted.at(-1))];
  return middle === longest ? middle : `${middle}, at most ${longest}`;
}

await withServers(({ newDatabase, redisUrl, databaseUrl }) =>
  withBroker(async (broker, proxy) => {
    const DATABASE_URL = await newDatabase('recovery');
    const env = { DATABASE_URL, REDIS_URL: redisUrl, KAFKA_BROKERS: `127.0.0.1:${new URL(proxy.url).port}` };
    const start = (services: readonly string[]) => startProgram(env, services);
    const api = await start(['order-service']);
    const programs = await Promise.all([start(['event-relay']), start(WORK), start(WORK)]);
    const orders = await openOrders(api, programs[1] as Program, DATABASE_URL);
    const bench = { broker, proxy, orders, programs, start };
    console.log(
      '| fault | placed meanwhile: CONFIRMED | due meanwhile: COMPLETED | all ready | not ready since the beginning |',
    );
    console.log('|---|---|---|---|---|');
    for (const [name, cause] of Object.entries(FAULTS).filter(([name]) => name.includes(ONLY))) {
      const rounds: Measured[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        await ready(bench);
        await Promise.all((await Promise.all([orders.place(), orders.place(10)])).map(({ done }) => done));
        rounds.push(await cause(bench));
      }
      const cells = (['placed', 'due', 'ready', 'unready'] as const).map((key) =>
        spread(rounds.map((round) => round[key])),
      );
      console.log(`| ${[name, ...cells].join(' | ')} |`);
    }
    console.log(
      `\n${ROUNDS} times each; two processes with ${WORK.join(', ')}, one with event-relay, one with order-service`,
    );
    console.log(await machineLine(databaseUrl, redisUrl));
    await Promise.all([api, ...programs].map((program) => program.stop()));
  }),
);
process.exit();
