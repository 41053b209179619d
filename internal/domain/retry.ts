/** Exponential backoff with a cap. Delays are milliseconds. */
import { isTransient } from './errors.ts';

export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** A server that is back is used soon, however long it was away. */
const PASSING: Backoff = { firstMs: 50, longestMs: 500 };
/** Nothing but a new version or an operator ends such a fault, and each failure is logged. */
const LASTING: Backoff = { firstMs: 50, longestMs: 5_000 };

/** The delay of a loop after that many failures in a row, the last one with `error`. */
export function backoffAfter(error: unknown, failures: number): number {
  return backoffMs(failures, isTransient(error) ? PASSING : LASTING);
}

/** The delay after that many failures in a row: it doubles from `firstMs` up to `longestMs`; by default 50 to 500 ms. */
export function backoffMs(failures: number, { firstMs, longestMs }: Backoff = PASSING): number {
  return Math.min(firstMs * 2 ** Math.max(0, Math.min(failures, 20) - 1), longestMs);
}

/** How often a delivery is tried alone before it becomes a dead letter. */
export const MAX_ATTEMPTS = 3;
