/** `npm run simulate`: simulates runs from a seed on in several processes, audits each, and shrinks the first that fails. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { exitCode, merge, tableOf } from '../../cmd/audit/audit.ts';
import { bundle, bundled } from '../support/bundle.ts';
import { NEEDED } from './needed.ts';
import { planOf } from './plan.ts';
import { faultsOf, shrink } from './shrink.ts';
import { type Run, simulate } from './simulation.ts';
import type { Outcome, Seeds } from './worker.ts';

const USAGE = `Usage: npm run simulate -- [--seed 1] [--runs 1000] [--jobs N] [--out simulation.jsonl]

Simulates --runs runs, with the seeds from --seed on, in --jobs processes (as many as there are processors). A failure prints
its seed, and the shortest history that shows it is written to --out, which \`npm run audit\` reads. Ends with 2 if many runs did
not reach what they are about.
`;
/** Fewer runs than this need not reach everything. */
const ENOUGH_RUNS = 1_000;
const PROGRESS_EVERY = 1_000;
const WORKER = 'test/simulation/worker.ts';
/** How many seeds a process gets at a time. */
const PART = 50;
/** A process has one thread at work, and makes much garbage that is dead by the next turn. */
const NODE_OPTIONS = ['--max-semi-space-size=32', '--v8-pool-size=0'];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string', default: '1000' },
      jobs: { type: 'string', default: String(os.availableParallelism()) },
      out: { type: 'string', default: 'simulation.jsonl' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const [seed, runs, jobs] = [Number(values.seed), Number(values.runs), Number(values.jobs)];
  if (!Number.isSafeInteger(seed) || !(runs >= 1) || !(jobs >= 1)) throw new Error(USAGE);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-simulation-'));
  try {
    await bundle(dir, [WORKER], { keepNames: false });
    const { report, failed } = await simulateAll(bundled(dir, WORKER), seed, runs, jobs);
    if (failed !== undefined) return await fail(await simulate(planOf(failed)), values.out);
    const reached = [...report.coverage].map(([mark, count]) => `${mark} ${count}`).sort();
    process.stdout.write(`${tableOf(report)}reached: ${reached.join(', ')}\n`);
    process.exitCode = exitCode(report);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** The sum of all runs, or the first seed that fails, however many processes there are. */
async function simulateAll(worker: string, seed: number, runs: number, jobs: number): Promise<Outcome> {
  const started = Date.now();
  const parts = partsOf(seed, runs);
  let report = merge([]);
  let failed: number | undefined;
  let done = 0;
  const job = async () => {
    const child = fork(worker, { execArgv: NODE_OPTIONS, serialization: 'advanced' });
    const died = once(child, 'exit').then(() =>
      Promise.reject(new Error('a process of the simulation died')),
    );
    // Leaving the loop ends the parts for all processes; those before this one are under way already.
    for (const part of parts) {
      child.send(part);
      const [outcome] = (await Promise.race([once(child, 'message'), died])) as [Outcome];
      report = merge([report, outcome.report]);
      if (outcome.failed !== undefined) {
        failed = Math.min(failed ?? outcome.failed, outcome.failed);
        break;
      }
      const before = done;
      done += part[1] - part[0] + 1;
      if (Math.floor(done / PROGRESS_EVERY) > Math.floor(before / PROGRESS_EVERY))
        process.stdout.write(`${done} runs in ${Math.round((Date.now() - started) / 1_000)} s\n`);
    }
    died.catch(() => {});
    child.disconnect();
  };
  await Promise.all(Array.from({ length: Math.min(jobs, Math.ceil(runs / PART)) }, job));
  return {
    report: merge([report], runs >= ENOUGH_RUNS ? NEEDED : []),
    ...(failed === undefined ? {} : { failed }),
  };
}

function* partsOf(seed: number, runs: number): Generator<Seeds> {
  for (let n = 0; n < runs; n += PART) yield [seed + n, seed + Math.min(n + PART, runs) - 1];
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
