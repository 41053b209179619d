/** How long to wait before trying again: exponential, capped. Delays are milliseconds. */

export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

const SHORT: Backoff = { firstMs: 50, longestMs: 5_000 };

/** After the first, second, third … failure: the first delay, twice, four times that …, up to the longest; by default 50 ms to 5 s. */
export function backoffMs(failures: number, { firstMs, longestMs }: Backoff = SHORT): number {
  return Math.min(firstMs * 2 ** Math.max(0, Math.min(failures, 20) - 1), longestMs);
}

/** Attempts at handling a delivery by itself before it becomes a dead letter. */
export const MAX_ATTEMPTS = 3;
