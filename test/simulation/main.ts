/** `npm run simulate`: simulates runs from a seed on, audits each, and shrinks the first that fails. */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { exitCode, merge, type Report, tableOf } from '../../cmd/audit/audit.ts';
import { NEEDED } from './needed.ts';
import { planOf } from './plan.ts';
import { faultsOf, shrink } from './shrink.ts';
import { type Run, simulate } from './simulation.ts';

const USAGE = `Usage: npm run simulate -- [--seed 1] [--runs 1000] [--out simulation.jsonl]

Simulates --runs runs, with the seeds from --seed on. A failure prints its seed, and the shortest history that shows it is
written to --out, which \`npm run audit\` reads. Ends with 2 if many runs did not reach what they are about.
`;
/** Fewer runs than this need not reach everything. */
const ENOUGH_RUNS = 1_000;
const PROGRESS_EVERY = 1_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string', default: '1000' },
      out: { type: 'string', default: 'simulation.jsonl' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const [seed, runs] = [Number(values.seed), Number(values.runs)];
  if (!Number.isSafeInteger(seed) || !(runs >= 1)) throw new Error(USAGE);
  const started = Date.now();
  let total: Report | undefined;
  for (let n = 0; n < runs; n++) {
    const run = await simulate(planOf(seed + n));
    if (faultsOf(run).length > 0) return fail(run, values.out);
    total = merge(total ? [total, run.report] : [run.report]);
    if ((n + 1) % PROGRESS_EVERY === 0)
      process.stdout.write(`${n + 1} runs in ${Math.round((Date.now() - started) / 1_000)} s\n`);
  }
  const report = merge([total as Report], runs >= ENOUGH_RUNS ? NEEDED : []);
  const reached = [...report.coverage].map(([mark, count]) => `${mark} ${count}`).sort();
  process.stdout.write(`${tableOf(report)}reached: ${reached.join(', ')}\n`);
  process.exitCode = exitCode(report);
}

async function fail(run: Run, out: string): Promise<void> {
  const shortest = await shrink(run);
  const { plan, report, injected, surprises, history } = shortest;
  process.stdout.write(`${tableOf(report)}${surprises.map((one) => `surprise: ${one}\n`).join('')}`);
  for (const [call, { fault, call: name }] of injected)
    process.stdout.write(`fault: ${fault} at call ${call}, ${name}\n`);
  process.stdout.write(
    `seed ${plan.seed} fails: ${faultsOf(run).join(', ')}; ${plan.orders.length} orders are left of ${run.plan.orders.length}, ${injected.size} faults of ${run.injected.size}\n`,
  );
  fs.writeFileSync(out, history.map((line) => `${JSON.stringify(line)}\n`).join(''));
  process.stdout.write(`the history is in ${out}\n`);
  process.exitCode = 1;
}

main().catch((error: Error) => {
  process.stderr.write(`simulate: ${error.stack}\n`);
  process.exit(1);
});
