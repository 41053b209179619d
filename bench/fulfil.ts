/** Measures how many orders with items become CONFIRMED per second, and the API's latency under that load. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { load } from './load.ts';
import { percentile } from './percentiles.ts';
import { endChild, withServers } from './servers.ts';
import { atLeast, atMost, machineLine, perSecond, printTable, type Row, whole } from './table.ts';

const CONNECTIONS = 256;
const SECONDS = 15;
const GIVEN = process.argv[2]?.split(',').map(Number);
const TARGET = 1_500;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** V8 optimises code only after it has run often, which takes thousands of orders. */
const WARM_UP = { connections: CONNECTIONS, seconds: 12, rate: 1_000 };
const PATIENCE_MS = 120_000;
/** The services that run in a second process, beside order-service. */
const PATH = ['scheduler-worker', 'processing-service', 'inventory-service', 'payment-service'];
const EVERYTHING = [
  ...PATH,
  'pricing-service',
  'restaurant-service',
  'delivery-service',
  'notification-service',
  'query-service',
  'maintenance-service',
];

interface Program {
  readonly url: string;
  stop(): Promise<void>;
}

async function start(env: Record<string, string>, services: readonly string[]): Promise<Program> {
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=64', '--v8-pool-size=1', '--import', 'tsx', 'cmd/tiffin.ts', ...services],
    {
      cwd: ROOT,
      env: { PATH: process.env.PATH, PORT: '0', LOG_FORMAT: 'json', LOG_LEVEL: 'info', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, level, ...fields } = JSON.parse(line);
    if (level === 'error' || level === 'fatal') console.error(msg, fields);
    const url = /ready at (\S+)/.exec(msg)?.[1];
    if (!url) continue;
    child.stdout.resume();
    return { url, stop: () => endChild(child) };
  }
  throw new Error('the program ended before it was ready');
}

async function post(url: string, body: unknown) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer.json() as Promise<{ id: string }>;
}

/** Seconds of CPU time that a process has used, from its own metrics. */
async function cpuOf({ url }: Program): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^process_cpu_seconds_total (\S+)/m.exec(text)?.[1]);
}

/** Adds a restaurant with three items that never run out; returns the request body of an order for them. */
async function orderFor(url: string): Promise<string> {
  const restaurant = await post(`${url}/api/v1/inventory/add/restaurant`, { name: 'Bench' });
  const items = [];
  for (const name of ['Dal', 'Rice', 'Roti']) {
    const item = { name, price: 4.5, initial_qty: 100_000_000 };
    const { id } = await post(`${url}/api/v1/inventory/add/${restaurant.id}/item`, item);
    items.push({ menu_item_id: id, quantity: 2 });
  }
  return JSON.stringify({ user_id: 'bench', restaurant_id: restaurant.id, items });
}

/** Of the orders placed since $2: how many, how many CONFIRMED, how many of them by $1; p50 and p99 until CONFIRMED, ms. */
const CONFIRMED = `
  SELECT count(*) FILTER (WHERE at <= $1)::int AS in_time, count(*)::int AS confirmed, (SELECT count(*)::int FROM orders WHERE created_at >= $2) AS placed,
    coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY took), 0)::float8 AS p50, coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY took), 0)::float8 AS p99
  FROM (
    SELECT to_timestamp((entry->>'at')::float8 / 1000) AS at, (entry->>'at')::float8 - extract(epoch FROM created_at) * 1000 AS took
    FROM orders, jsonb_array_elements(timeline) AS entry WHERE created_at >= $2 AND entry->>'status' = 'CONFIRMED') reached`;

const BEHIND = `
  SELECT count(*)::int AS behind FROM consumer_cursors c
  WHERE EXISTS (SELECT FROM events e WHERE (e.transaction_id, e.position) > (c.transaction_id, c.position))`;

/** Waits until all orders placed since `from` are CONFIRMED, or PATIENCE_MS have passed; returns the counts. */
async function settle(client: pg.Client, end: Date, from: Date) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const [counted] = (await client.query(CONFIRMED, [end, from])).rows;
    if (counted.confirmed === counted.placed || Date.now() > deadline) return counted;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Waits until every consumer has read the whole event log, or PATIENCE_MS have passed. */
async function quiet(client: pg.Client): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { rows } = await client.query(BEHIND);
    if (rows[0].behind === 0 || Date.now() > deadline) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

await withServers(async ({ newDatabase, redisUrl, databaseUrl }) => {
  const rows: Row[] = [];
  for (const [name, services, rates] of [
    ['the services on the path', PATH, GIVEN ?? [1_500, 1_700]],
    ['every service', EVERYTHING, GIVEN ?? [300, 1_500]],
  ] as const) {
    const url = await newDatabase(`fulfil_${rows.length}`);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const env = { DATABASE_URL: url, REDIS_URL: redisUrl, REDIS_PREFIX: `bench${rows.length}` };
    const orders = await start(env, ['order-service']);
    const others = await start(env, services);
    try {
      const body = await orderFor(others.url);
      const beginning = new Date();
      await load(`${orders.url}/api/v1/orders`, body, WARM_UP);
      await settle(client, new Date(), beginning);
      await quiet(client);
      for (const rate of rates) {
        const cpuBefore = await Promise.all([orders, others].map(cpuOf));
        const from = new Date();
        const result = await load(`${orders.url}/api/v1/orders`, body, {
          connections: CONNECTIONS,
          seconds: SECONDS,
          rate,
        });
        const end = new Date();
        const counted = await settle(client, end, from);
        const cpu = (await Promise.all([orders, others].map(cpuOf))).map(
          (seconds, n) => ((seconds - (cpuBefore[n] as number)) / counted.placed) * 1e6,
        );
        const settled = (Date.now() - from.getTime()) / 1000;
        const api = percentile(result.latencies, 0.99);
        const confirmed = counted.in_time / ((end.getTime() - from.getTime()) / 1000);
        const refused = [...result.answers].filter(([status]) => status !== 202);
        rows.push({
          what: `${name}: ${whole(rate)} placed/s, rate of CONFIRMED`,
          figure: `${perSecond(confirmed)}; all ${whole(counted.placed)} after ${settled.toFixed(1)} s; place to CONFIRMED p50 ${whole(counted.p50)} ms, p99 ${whole(counted.p99)} ms; CPU each ${cpu.map(whole).join(' + ')} µs`,
          ...(rate > TARGET ? { target: atLeast(confirmed, TARGET, '/s') } : {}),
        });
        rows.push({
          what: '    the API under this load',
          figure: `p50 ${percentile(result.latencies, 0.5).toFixed(1)} ms, p99 ${api.toFixed(1)} ms${refused.length > 0 ? `, other answers ${JSON.stringify(refused)}` : ''}`,
          target: atMost(api, 200, ' ms p99'),
        });
      }
    } finally {
      await Promise.all([orders.stop(), others.stop()]);
      await client.end();
    }
  }
  printTable(rows);
  console.log(
    `\n${CONNECTIONS} connections, ${SECONDS} s at each rate, three lines an order; order-service in one process, the other services in a second one; client, Postgres and Redis on the same machine; CPU is that of the two processes alone`,
  );
  console.log(await machineLine(databaseUrl, redisUrl));
});
