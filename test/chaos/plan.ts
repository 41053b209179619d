/** The faults of a run and their order: a pure function of the seed. */
import type { Fault, FaultKind, Stream } from './fault.ts';
import { KAFKA_FAULTS } from './faults/kafka-faults.ts';
import { NETWORK_FAULTS } from './faults/network-faults.ts';
import { FULL_DISK as POSTGRES_DISK, POSTGRES_FAULTS } from './faults/postgres-faults.ts';
import { PROCESS_FAULTS } from './faults/process-faults.ts';
import { FULL_DISK as REDIS_DISK, REDIS_FAULTS } from './faults/redis-faults.ts';
import { STREAM_FAULTS } from './faults/stream-faults.ts';
import { seeded } from './seeded.ts';

const KINDS: readonly FaultKind[] = [
  ...PROCESS_FAULTS,
  ...POSTGRES_FAULTS,
  ...REDIS_FAULTS,
  ...KAFKA_FAULTS,
  ...NETWORK_FAULTS,
  ...STREAM_FAULTS,
];
/** The faults that only a user who may mount a disk can cause. */
export const NEEDS_A_DISK: readonly string[] = [POSTGRES_DISK, REDIS_DISK];
/** How far apart neighbouring seeds begin. */
const PLACES_APART = 5;

export function kindsOn(stream: Stream): readonly FaultKind[] {
  return KINDS.filter(({ only }) => only === undefined || only === stream);
}

/**
 * Every seed begins at another place of one row, in which each kind of fault comes once before any comes again. So a few
 * neighbouring seeds cause all of them, however short their runs are.
 */
export function planOf(seed: number, stream: Stream, length: number): Fault[] {
  const kinds = kindsOn(stream);
  const random = seeded(seed);
  const start = (seed - 1) * PLACES_APART;
  return Array.from({ length }, (_, n) => {
    const place = start + n;
    const round = seeded(Math.floor(place / kinds.length)).shuffled(kinds);
    return round[place % kinds.length]!.draw(random, stream);
  });
}
