/** The result of one invariant, and how it is gathered. */
import type { History } from './history.ts';

export interface Verdict {
  /** How many subjects were looked at; an invariant that looked at none has shown nothing. */
  readonly checked: number;
  /** One sentence for each violation. */
  readonly violations: readonly string[];
}

/** A pure function of a history. */
export type Invariant = (history: History) => Verdict;

/** Looks at each subject; `fault` returns its violations, or undefined if it does not concern the invariant. */
export function each<S>(
  subjects: Iterable<S>,
  fault: (subject: S) => readonly string[] | undefined,
): Verdict {
  let checked = 0;
  const violations: string[] = [];
  for (const subject of subjects) {
    const found = fault(subject);
    if (!found) continue;
    checked += 1;
    violations.push(...found);
  }
  return { checked, violations };
}

export function together(...verdicts: readonly Verdict[]): Verdict {
  return {
    checked: verdicts.reduce((sum, { checked }) => sum + checked, 0),
    violations: verdicts.flatMap(({ violations }) => violations),
  };
}

export const DROPPED_OUT: ReadonlySet<string> = new Set(['FAILED', 'REJECTED', 'CANCELLED']);
export const SUCCEEDED: ReadonlySet<string> = new Set(['COMPLETED', 'DELIVERED']);

export function hasEnded(status: string): boolean {
  return DROPPED_OUT.has(status) || SUCCEEDED.has(status);
}
