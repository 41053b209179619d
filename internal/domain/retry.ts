/** How long to wait before trying again: exponential, capped. Delays are milliseconds. */

const FIRST_MS = 50;
const LONGEST_MS = 5_000;

/** After the first, second, third … failure: 50, 100, 200 … up to 5,000 ms. */
export function backoffMs(failures: number): number {
  return Math.min(FIRST_MS * 2 ** Math.max(0, Math.min(failures, 20) - 1), LONGEST_MS);
}

/** How often a delivery is tried by itself before it becomes a dead letter. */
export const MAX_ATTEMPTS = 3;
