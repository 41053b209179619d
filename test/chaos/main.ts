/** `npm run chaos`: breaks real servers and processes on purpose, by a seed, and audits what clients saw and what is left. */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { broken, exitCode, tableOf } from '../../cmd/audit/audit.ts';
import { describeFault, planOf, type Stream } from './plan.ts';
import { recoveryTable } from './recovery-table.ts';
import { run } from './run.ts';

const USAGE = `Usage: npm run chaos -- [--seed 1] [--orders 2000] [--stream postgres|kafka] [--faults N] [--only TEXT] [--history FILE]

Runs Tiffin as separate processes on servers of its own, causes a fault for every 25 orders (or --faults in all), and audits
the history. The same seed gives the same faults. Ends with 1 if an invariant is violated, if something was not reached, or
if orders did not go on after a fault. It needs redis-server; with --stream kafka also Java 17 and Maven.
`;
const ORDERS_PER_FAULT = 25;
/** A plan long enough to hold many faults of any kind. */
const LONG_PLAN = 2_000;
/** The whole run ends after this time for each fault, and some for the beginning and the end. */
const FAULT_LIMIT_MS = 90_000;
const REST_LIMIT_MS = 300_000;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    orders: { type: 'string', default: '2000' },
    stream: { type: 'string', default: 'postgres' },
    faults: { type: 'string' },
    only: { type: 'string', default: '' },
    history: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
const seed = Number(values.seed);
const orders = Number(values.orders);
const faults = Number(values.faults ?? Math.max(1, Math.floor(orders / ORDERS_PER_FAULT)));
const isValid =
  Number.isSafeInteger(seed) &&
  [orders, faults].every((n) => Number.isInteger(n) && n > 0) &&
  ['postgres', 'kafka'].includes(values.stream);
if (values.help || !isValid) {
  process[values.help ? 'stdout' : 'stderr'].write(USAGE);
  process.exit(values.help ? 0 : 2);
}

const say = (line: string) => process.stdout.write(`chaos: ${line}\n`);
const limit = setTimeout(
  () => {
    say('the run did not end in time');
    process.exitCode = 1;
    process.kill(process.pid, 'SIGTERM');
  },
  REST_LIMIT_MS + faults * FAULT_LIMIT_MS,
);

const stream = values.stream as Stream;
const plan = planOf(seed, stream, values.only ? LONG_PLAN : faults)
  .filter((fault) => describeFault(fault).includes(values.only))
  .slice(0, faults);
if (plan.length === 0) throw new Error(`there is no fault '${values.only}' on the stream ${stream}`);
say(`seed ${seed}, stream ${stream}, ${orders} orders, ${faults} faults`);
const {
  report,
  experiences,
  complaints,
  historyFile,
  orders: placed,
} = await run({ stream, plan, orders, say });
clearTimeout(limit);

process.stdout.write(`\n${recoveryTable(experiences)}\n${tableOf(report)}`);
for (const complaint of complaints.slice(0, 20)) say(complaint);
const failed = exitCode(report) !== 0 || complaints.length > 0;
if (values.history) fs.copyFileSync(historyFile, values.history);
const dir = path.dirname(historyFile);
if (failed)
  say(
    `FAILED: ${[...broken(report), ...report.missing].join(', ') || 'see above'}; logs and history are in ${dir}`,
  );
else {
  say(`passed: ${placed} orders, ${faults} faults, no violation`);
  fs.rmSync(dir, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
