/** `npm run chaos`: breaks real servers and processes on purpose, by a seed, and audits what clients saw and what is left. */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { broken, exitCode, tableOf } from '../../cmd/audit/audit.ts';
import { whyNoDisk } from '../support/disk.ts';
import { describeFault, type Fault, type Stream } from './fault.ts';
import { NEEDS_A_DISK, planOf } from './plan.ts';
import { recoveryTable } from './recovery-table.ts';
import { type Experience, run } from './run.ts';

const USAGE = `Usage: npm run chaos -- [--seed 1 | --seeds 1..20] [--orders 2000] [--stream postgres|kafka] [--faults N] [--only TEXT] [--within 30] [--history FILE] [--results FILE]

Runs Tiffin as separate processes on servers of its own, causes a fault for every 25 orders (or --faults in all), and audits
the history. The same seed gives the same faults; with several seeds, there is a run for each. Ends with 1 if an invariant is
violated, if something was not reached, or if orders did not go on within 30 s (--within) after a fault. --results adds the
times to recover to a file, and prints the table of all that it holds. It needs redis-server; with --stream kafka also Java 17
and Maven. Only root can make a disk full.
`;
const ORDERS_PER_FAULT = 25;
/** A plan long enough to hold many faults of any kind. */
const LONG_PLAN = 2_000;
/** A run ends after this time for each fault, and some for the beginning and the end. */
const FAULT_LIMIT_MS = 150_000;
const REST_LIMIT_MS = 600_000;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string' },
    orders: { type: 'string', default: '2000' },
    stream: { type: 'string', default: 'postgres' },
    faults: { type: 'string' },
    only: { type: 'string', default: '' },
    within: { type: 'string', default: '30' },
    history: { type: 'string' },
    results: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
const [first, last = first] = (values.seeds ?? values.seed).split('..').map(Number) as [number, number?];
const orders = Number(values.orders);
const faults = Number(values.faults ?? Math.max(1, Math.floor(orders / ORDERS_PER_FAULT)));
const recoveryMs = Number(values.within) * 1_000;
const isValid =
  [first, last, orders, faults, recoveryMs].every((n) => Number.isSafeInteger(n) && n > 0) &&
  ['postgres', 'kafka'].includes(values.stream);
if (values.help || !isValid) {
  process[values.help ? 'stdout' : 'stderr'].write(USAGE);
  process.exit(values.help ? 0 : 2);
}

const say = (line: string) => process.stdout.write(`chaos: ${line}\n`);
const stream = values.stream as Stream;
const whyNot = whyNoDisk();
if (whyNot) say(`no disk is made full (${NEEDS_A_DISK.join(', ')} are left out): ${whyNot}`);

function planFor(seed: number): Fault[] {
  return planOf(seed, stream, LONG_PLAN)
    .filter((fault) => describeFault(fault).includes(values.only))
    .filter(({ kind }) => !(whyNot && NEEDS_A_DISK.includes(kind)))
    .slice(0, faults);
}

/** One run; false if it failed. */
async function runSeed(seed: number, all: Experience[]): Promise<boolean> {
  const plan = planFor(seed);
  if (plan.length === 0) throw new Error(`there is no fault '${values.only}' on the stream ${stream}`);
  say(`seed ${seed}, stream ${stream}, ${orders} orders, ${plan.length} faults`);
  const limit = setTimeout(
    () => {
      say('the run did not end in time');
      process.kill(process.pid, 'SIGTERM');
    },
    REST_LIMIT_MS + faults * FAULT_LIMIT_MS,
  );
  const started = performance.now();
  const {
    report,
    experiences,
    complaints,
    historyFile,
    orders: placed,
  } = await run({ stream, plan, orders, recoveryMs, say });
  clearTimeout(limit);
  all.push(...experiences);
  for (const one of values.results ? experiences : [])
    fs.appendFileSync(values.results as string, `${JSON.stringify(one)}\n`);

  const seconds = Math.round((performance.now() - started) / 1_000);
  process.stdout.write(`\n${recoveryTable(experiences)}\n${tableOf(report)}`);
  for (const complaint of complaints.slice(0, 20)) say(complaint);
  if (values.history) fs.copyFileSync(historyFile, values.history);
  const dir = path.dirname(historyFile);
  const failed = exitCode(report) !== 0 || complaints.length > 0;
  if (failed) {
    const reasons = [...broken(report), ...report.missing].join(', ') || 'see above';
    say(`FAILED: seed ${seed}, ${reasons}; logs and history are in ${dir}`);
  } else {
    say(`passed: seed ${seed}, ${placed} orders, ${plan.length} faults, no violation, ${seconds} s`);
    fs.rmSync(dir, { recursive: true, force: true });
  }
  return !failed;
}

function resultsIn(file: string): Experience[] {
  const lines = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Experience);
}

const experiences: Experience[] = [];
const failed: number[] = [];
for (let seed = first; seed <= last; seed++) if (!(await runSeed(seed, experiences))) failed.push(seed);
if (values.results) process.stdout.write(`\n${recoveryTable(resultsIn(values.results))}\n`);
else if (last > first) process.stdout.write(`\n${recoveryTable(experiences)}\n`);
if (last > first) {
  say(failed.length > 0 ? `FAILED: seeds ${failed.join(', ')}` : `passed: seeds ${first} to ${last}`);
}
process.exitCode = failed.length > 0 ? 1 : 0;
