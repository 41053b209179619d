/** The demo: simulates customers, restaurants and riders over HTTP, then checks orders, payments and stock. */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { audit, broken, type Report, tableOf } from '../audit/audit.ts';
import { booksOf } from './books.ts';
import { client } from './client.ts';
import { order } from './customers.ts';
import { answerTickets, look, ride, serveCounter } from './town.ts';
import { buildWorld, hasEnded, type World } from './world.ts';

const USAGE = `Usage: npm run demo -- [--url http://127.0.0.1:8080] [--seconds 30] [--rate 10]

Simulates restaurants, riders and customers, who place --rate orders a second for --seconds; then checks the orders,
payments and stock. DEMO_TOKEN is an operator's bearer token, if Tiffin requires one.
`;
/** Longest wait for unfinished orders after the last order was placed. */
const LAST_ORDERS_MS = 90_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8080' },
      seconds: { type: 'string', default: '30' },
      rate: { type: 'string', default: '10' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const [seconds, rate] = [Number(values.seconds), Number(values.rate)];
  if (!(seconds > 0 && seconds <= 3_600 && rate > 0 && rate <= 1_000))
    throw new Error(`--seconds and --rate must be numbers above 0.\n\n${USAGE}`);

  const world = await buildWorld(client(values.url, process.env.DEMO_TOKEN));
  let open = true;
  const rounds = [answerTickets, serveCounter, ride, look].map(async (round) => {
    while (open) {
      await round(world);
      await pause(400);
    }
  });
  const summary = setInterval(() => process.stdout.write(`${line(world)}\n`), 1_000);
  const failed = Promise.all(rounds);
  await Promise.race([failed, customers(world, seconds, rate)]);
  await Promise.race([failed, lastOrders(world)]);
  open = false;
  await failed;
  clearInterval(summary);
  await look(world, Number.POSITIVE_INFINITY);
  report(world, await settledReport(world));
}

async function customers(world: World, seconds: number, rate: number): Promise<void> {
  const started = performance.now();
  const waiting = new Set<Promise<void>>();
  for (let n = 0; n < seconds * rate; n++) {
    await pause(Math.max(0, started + (n * 1_000) / rate - performance.now()));
    const ordering = order(world).finally(() => waiting.delete(ordering));
    waiting.add(ordering);
  }
  await Promise.all(waiting);
}

async function lastOrders(world: World): Promise<void> {
  const end = performance.now() + LAST_ORDERS_MS;
  while (performance.now() < end && [...world.orders.values()].some((one) => !hasEnded(one)))
    await pause(200);
}

/** Audits up to ten times, a second apart: payments and stock of the last orders settle after their status. */
async function settledReport(world: World): Promise<Report> {
  for (let attempt = 1; ; attempt++) {
    const report = audit(await booksOf(world));
    if (broken(report).length === 0 || attempt === 10) return report;
    await pause(1_000);
  }
}

function line({ orders, client: { latencies } }: World): string {
  const counts: Record<string, number> = {};
  for (const { status } of orders.values()) counts[status] = (counts[status] ?? 0) + 1;
  const recent = latencies.slice(-1_000).sort((a, b) => a - b);
  const p99 = recent[Math.floor(recent.length * 0.99)] ?? 0;
  const words = Object.entries(counts).map(([status, count]) => `${status} ${count}`);
  return `demo: ${orders.size} orders | ${words.join(' | ')} | API p99 ${p99.toFixed(0)} ms`;
}

function report({ orders, surprises }: World, books: Report): void {
  const ends: Record<string, number> = {};
  for (const { status, reason } of orders.values()) {
    const end = reason ? `${status} (${reason})` : status;
    ends[end] = (ends[end] ?? 0) + 1;
  }
  const words = Object.entries(ends).sort(([, a], [, b]) => b - a);
  const summary = words.map(([end, count]) => `${count} ${end}`).join(', ');
  process.stdout.write(`\ndemo: ${orders.size} orders: ${summary}\n\n${tableOf(books)}\n`);
  for (const surprise of surprises.slice(0, 20)) process.stdout.write(`demo: ${surprise}\n`);
  const hasPassed = surprises.length === 0 && broken(books).length === 0;
  process.stdout.write(
    hasPassed
      ? 'demo: all checks passed: no order lost, none charged twice, nothing oversold\n'
      : 'demo: the checks FAILED\n',
  );
  process.exitCode = hasPassed ? 0 : 1;
}

main().catch((error: Error) => {
  process.stderr.write(`demo: ${error.message}\n`);
  process.exit(1);
});
