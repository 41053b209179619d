/** A process of `npm run simulate`: gets a range of seeds at a time, and answers with the sum of their reports. */
import { merge, type Report } from '../../cmd/audit/audit.ts';
import { planOf } from './plan.ts';
import { faultsOf } from './shrink.ts';
import { simulate } from './simulation.ts';

/** The first seed and the last. */
export type Seeds = readonly [from: number, to: number];

export interface Outcome {
  readonly report: Report;
  /** The first seed that fails; those after it were not run. */
  readonly failed?: number;
}

async function simulateAll([from, to]: Seeds): Promise<Outcome> {
  const reports: Report[] = [];
  for (let seed = from; seed <= to; seed++) {
    const run = await simulate(planOf(seed));
    if (faultsOf(run).length > 0) return { report: merge(reports), failed: seed };
    reports.push(run.report);
  }
  return { report: merge(reports) };
}

process.on('message', async (seeds: Seeds) => {
  process.send?.(await simulateAll(seeds));
});
