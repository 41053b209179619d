/** Exponential backoff with a cap. Delays are milliseconds. */

export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

const SHORT: Backoff = { firstMs: 50, longestMs: 5_000 };

/** The delay after that many failures in a row: it doubles from `firstMs` up to `longestMs`; by default 50 ms to 5 s. */
export function backoffMs(failures: number, { firstMs, longestMs }: Backoff = SHORT): number {
  return Math.min(firstMs * 2 ** Math.max(0, Math.min(failures, 20) - 1), longestMs);
}

/** How often a delivery is tried alone before it becomes a dead letter. */
export const MAX_ATTEMPTS = 3;
