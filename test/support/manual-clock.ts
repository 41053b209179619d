/** A clock that changes only when a test advances it. */
import type { Clock } from '../../internal/service/ports.ts';

/** 2030-01-01T12:00:00.000Z */
export const NOON = Date.UTC(2030, 0, 1, 12);

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function manualClock(start = NOON): ManualClock {
  let now = start;
  return {
    now: () => now,
    advance(ms) {
      now += ms;
    },
  };
}
