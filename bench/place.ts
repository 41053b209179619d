/** Measures placing over HTTP: Tiffin against Koa without a database, and against one transaction per request. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type Load, load } from './load.ts';
import { median, percentile } from './percentiles.ts';
import { endChild, withServers } from './servers.ts';
import { atLeast, atMost, machineLine, perSecond, printTable, type Row } from './table.ts';

const CONNECTIONS = Number(process.argv[2] ?? 256);
const ROUNDS = 5;
const ROUND_S = 4;
const WARM_UP_S = 3;
const STEADY_S = 3;
const BODY = JSON.stringify({
  customer_name: 'Ada Lovelace',
  total_price: 12.5,
  scheduled_time: new Date(Date.now() + 86_400_000).toISOString(),
});

interface Server {
  readonly url: string;
  readonly child: ChildProcess;
  readonly databaseUrl?: string;
  /** For each round: orders per second, and microseconds of CPU that the server process used for an order. */
  readonly rates: number[];
  readonly costs: number[];
  readonly loads: Load[];
}

async function startServer(kind: string, env: Record<string, string>): Promise<Server> {
  const child = fork(fileURLToPath(new URL('./place-server.ts', import.meta.url)), [kind], {
    // The same flags as `npm start`, for the bare server too.
    execArgv: ['--max-semi-space-size=64', '--v8-pool-size=1', '--import', 'tsx'],
    env: { ...process.env, ...env },
  });
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`the ${kind} server ended`)));
  const [{ url }] = (await Promise.race([once(child, 'message'), ended])) as [{ url: string }];
  ended.catch(() => {});
  return {
    url,
    child,
    rates: [],
    costs: [],
    loads: [],
    ...(env.DATABASE_URL ? { databaseUrl: env.DATABASE_URL } : {}),
  };
}

async function measure(server: Server, options: { seconds: number; rate?: number }): Promise<Load> {
  const result = await load(`${server.url}/orders`, BODY, { connections: CONNECTIONS, ...options });
  server.loads.push(result);
  return result;
}

async function cpuOf({ child }: Server): Promise<number> {
  child.send('cpu');
  const [{ cpu }] = (await once(child, 'message')) as [{ cpu: number }];
  return cpu;
}

const created = ({ answers }: Load) => answers.get(201) ?? 0;

/** Counts the 201 answers, the order rows and the events; the three must be equal. */
async function verify({
  databaseUrl,
  loads,
}: Server): Promise<{ answered: number; rows: number; events: number }> {
  const answered = loads.reduce((sum, one) => sum + created(one), 0);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query(
    `SELECT (SELECT count(*)::int FROM orders) AS rows, (SELECT count(*)::int FROM events WHERE event_type = 'order.created') AS events`,
  );
  await client.end();
  return { answered, ...rows[0] };
}

await withServers(async ({ newDatabase, databaseUrl, redisUrl }) => {
  const started: Server[] = [];
  const start = async (kind: string, database?: string) => {
    const env = database ? { DATABASE_URL: await newDatabase(database), REDIS_URL: redisUrl } : {};
    const server = await startServer(kind, env as Record<string, string>);
    started.push(server);
    return server;
  };
  try {
    const bare = await start('bare');
    const grouped = await start('grouped', 'grouped');
    const single = await start('single', 'single');
    const all = [bare, grouped, single];
    for (const server of all) await measure(server, { seconds: WARM_UP_S });
    const steady: Load[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const server of all) {
        const before = await cpuOf(server);
        const result = await measure(server, { seconds: ROUND_S });
        server.costs.push(((await cpuOf(server)) - before) / created(result));
        server.rates.push(created(result) / result.seconds);
      }
      const rate = 0.7 * (grouped.rates[round] ?? 0);
      steady.push(
        await load(`${grouped.url}/orders`, BODY, { connections: CONNECTIONS, seconds: STEADY_S, rate }),
      );
    }
    const ratioOf = (other: Server) =>
      median(grouped.rates.map((rate, n) => rate / (other.rates[n] ?? Number.NaN)));
    const row = (what: string, server: Server, more: Partial<Row> = {}): Row => {
      const latencies = server.loads.slice(1, ROUNDS + 1).flatMap((one) => one.latencies);
      const [p50, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)];
      return {
        what,
        figure: `${perSecond(median(server.rates))}, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${median(server.costs).toFixed(0)} µs CPU each`,
        ...more,
      };
    };
    const [toBare, toSingle] = [ratioOf(bare), ratioOf(single)];
    const steadyOf = (share: number) => median(steady.map(({ latencies }) => percentile(latencies, share)));
    const p99 = steadyOf(0.99);
    grouped.loads.push(...steady);
    const [groupedRows, singleRows] = [await verify(grouped), await verify(single)];
    const isSound = [groupedRows, singleRows].every(
      (count) => count.answered === count.rows && count.rows === count.events,
    );
    const others = started.flatMap((server) => server.loads).flatMap(({ answers }) => [...answers.keys()]);
    printTable([
      row('(a) bare Koa, no database', bare),
      row('(b) Tiffin, group commit; ratio to (a)', grouped, { ratio: toBare, target: atLeast(toBare, 0.6) }),
      row('(c) one transaction per request; ratio (b) to it', single, {
        ratio: toSingle,
        target: atLeast(toSingle, 3),
      }),
      {
        what: '(b) at 70% of its peak rate',
        figure: `${perSecond(median(steady.map((one) => created(one) / one.seconds)))}, p50 ${steadyOf(0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
        target: atMost(p99, 50, ' ms p99'),
      },
      {
        what: 'answers 201 = orders = events',
        figure: `${groupedRows.answered} = ${groupedRows.rows} = ${groupedRows.events}; ${singleRows.answered} = ${singleRows.rows} = ${singleRows.events}`,
        target: { text: 'equal, all 201', met: isSound && others.every((status) => status === 201) },
      },
    ]);
    console.log(
      `\n${CONNECTIONS} connections, ${ROUNDS} alternating rounds of ${ROUND_S} s, medians; client, server and Postgres on one machine; CPU is the server process alone`,
    );
    console.log(await machineLine(databaseUrl));
  } finally {
    for (const { child } of started) await endChild(child);
  }
});
