/** The auditor: checks every invariant on a history, and that the run reached what it is about. */
import { type Coverage, coverageOf } from './coverage.ts';
import type { History } from './history.ts';
import {
  capturedWithinAuthorized,
  moneyFollowsTheOrder,
  oneLiveAuthorization,
  stockConserved,
} from './money-and-stock.ts';
import {
  acknowledgedOrdersExist,
  endedByDeadline,
  legalTransitions,
  noneAfterCancel,
  noneBeforeItsTime,
  processedOnce,
  versionsWithoutGap,
} from './order-invariants.ts';
import { linearizable } from './order-model.ts';
import { eventsAccountedFor, oneMessageEach, viewsRebuildEqual } from './stream-invariants.ts';
import type { Invariant, Verdict } from './verdict.ts';

export const INVARIANTS = {
  'acknowledged-orders-exist': acknowledgedOrdersExist,
  'ended-by-deadline': endedByDeadline,
  'one-live-authorization': oneLiveAuthorization,
  'captured-within-authorized': capturedWithinAuthorized,
  'money-follows-the-order': moneyFollowsTheOrder,
  'stock-conserved': stockConserved,
  'legal-transitions': legalTransitions,
  'versions-without-gap': versionsWithoutGap,
  'none-before-its-time': noneBeforeItsTime,
  'processed-once': processedOnce,
  'none-after-cancel': noneAfterCancel,
  'views-rebuild-equal': viewsRebuildEqual,
  'one-message-each': oneMessageEach,
  'events-accounted-for': eventsAccountedFor,
  linearizable,
} as const satisfies Record<string, Invariant>;

export type InvariantName = keyof typeof INVARIANTS;

export interface Report {
  readonly verdicts: ReadonlyMap<InvariantName, Verdict>;
  readonly coverage: Coverage;
  /** The marks that were needed and not reached. */
  readonly missing: readonly string[];
}

/** Checks a history; `needed` are the marks that the run had to reach. */
export function audit(history: History, needed: readonly string[] = []): Report {
  const names = Object.keys(INVARIANTS) as InvariantName[];
  const coverage = coverageOf(history);
  return {
    verdicts: new Map(names.map((name) => [name, INVARIANTS[name](history)])),
    coverage,
    missing: needed.filter((mark) => !coverage.has(mark)),
  };
}

/** The reports of several runs as one. */
export function merge(reports: readonly Report[], needed: readonly string[] = []): Report {
  const verdicts = new Map<InvariantName, Verdict>();
  const coverage: Coverage = new Map();
  for (const report of reports) {
    for (const [name, { checked, violations }] of report.verdicts) {
      const sum = verdicts.get(name) ?? { checked: 0, violations: [] };
      verdicts.set(name, {
        checked: sum.checked + checked,
        violations: [...sum.violations, ...violations],
      });
    }
    for (const [mark, count] of report.coverage) coverage.set(mark, (coverage.get(mark) ?? 0) + count);
  }
  return { verdicts, coverage, missing: needed.filter((mark) => !coverage.has(mark)) };
}

export function broken({ verdicts }: Report): InvariantName[] {
  return [...verdicts].filter(([, { violations }]) => violations.length > 0).map(([name]) => name);
}

/** 0: every invariant holds; 1: one is violated; 2: the run did not reach what it is about. */
export function exitCode(report: Report): 0 | 1 | 2 {
  if (broken(report).length > 0) return 1;
  return report.missing.length > 0 ? 2 : 0;
}

const SHOWN = 10;

/** The table of invariants as text, with the first violations of each, and the marks that are missing. */
export function tableOf(report: Report): string {
  const width = Math.max(...[...report.verdicts.keys()].map((name) => name.length));
  const row = (name: string, checked: unknown, violations: unknown) =>
    `${name.padEnd(width)}  ${String(checked).padStart(9)}  ${String(violations).padStart(10)}`;
  const rows = [...report.verdicts].map(([name, { checked, violations }]) =>
    row(name, checked, violations.length),
  );
  const details = [...report.verdicts].flatMap(([name, { violations }]) => [
    ...violations.slice(0, SHOWN).map((violation) => `${name}: ${violation}`),
    ...(violations.length > SHOWN ? [`${name}: and ${violations.length - SHOWN} more`] : []),
  ]);
  const missing = report.missing.map((mark) => `refused: the run did not reach ${mark}`);
  return [row('invariant', 'checked', 'violations'), ...rows, ...details, ...missing, ''].join('\n');
}
