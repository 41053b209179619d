/** The faults of a run and their order: a pure function of the seed. */
import { POINTS, type Point, type PointName } from './kill-points.ts';
import { type Seeded, seeded } from './seeded.ts';

export type Stream = 'postgres' | 'kafka';
/** What is reached over the network, each through a proxy of its own. */
export type Peer = 'postgres' | 'redis' | 'kafka';

/** One fault. Names are those of processes of the fleet, times are milliseconds. */
export type Fault =
  | { readonly kind: 'process killed'; readonly victim: string }
  | {
      readonly kind: 'process killed at a point';
      readonly victim: string;
      readonly point: PointName;
      /** The call of this number, counted from the moment it is armed, is the last one. */
      readonly nth: number;
    }
  | { readonly kind: 'process stopped past its lease'; readonly victim: string; readonly ms: number }
  | { readonly kind: 'members join and leave'; readonly service: string; readonly rounds: number }
  | { readonly kind: 'clock wrong by five minutes'; readonly victim: string; readonly shiftMs: number }
  | { readonly kind: 'Postgres restarted'; readonly signal: 'SIGINT' | 'SIGQUIT'; readonly ms: number }
  | { readonly kind: 'Postgres read-only'; readonly ms: number }
  | { readonly kind: 'connections cut after COMMIT'; readonly times: number }
  | { readonly kind: 'Redis killed'; readonly ms: number }
  | { readonly kind: 'Redis flushed' }
  | { readonly kind: 'Redis back from an older snapshot' }
  | { readonly kind: 'Redis refuses writes'; readonly ms: number }
  | { readonly kind: 'Redis fails over' }
  | { readonly kind: 'Kafka killed'; readonly ms: number }
  | { readonly kind: 'network slow, then cut'; readonly peer: Peer; readonly ms: number }
  | { readonly kind: 'network silent'; readonly peer: Peer }
  | { readonly kind: 'duplicates on the stream'; readonly events: number };

export type FaultKind = Fault['kind'];

/** Processes that a fault may hit; event-relay has work on Kafka only. */
const ON_EITHER = [
  'order-service',
  'scheduler-worker-1',
  'scheduler-worker-2',
  'processing-service-1',
  'processing-service-2',
  'inventory-service',
  'payment-service',
  'restaurant-service',
  'delivery-service',
  'query-service',
];
const victims = (stream: Stream) => (stream === 'kafka' ? [...ON_EITHER, 'event-relay'] : ON_EITHER);
const peers = (stream: Stream): Peer[] =>
  stream === 'kafka' ? ['postgres', 'redis', 'kafka'] : ['postgres', 'redis'];

type Draw = (random: Seeded, stream: Stream) => Fault;

const outage = (random: Seeded) => 1_500 + random.below(2_500);

/** Each fault is drawn once before any is drawn again. */
const DRAWS: readonly { readonly draw: Draw; readonly only?: Stream }[] = [
  { draw: (random, stream) => ({ kind: 'process killed', victim: random.oneOf(victims(stream)) }) },
  ...(Object.entries(POINTS) as [PointName, Point][]).map(([point, { victims, withinFirst, only }]) => ({
    draw: (random: Seeded): Fault => ({
      kind: 'process killed at a point',
      victim: random.oneOf(victims),
      point,
      nth: 1 + random.below(withinFirst),
    }),
    ...(only ? { only } : {}),
  })),
  {
    draw: (random, stream) => ({
      kind: 'process stopped past its lease',
      victim: random.oneOf(victims(stream)),
      ms: 7_000 + random.below(2_000),
    }),
  },
  {
    draw: (random) => ({
      kind: 'members join and leave',
      service: random.oneOf(['processing-service', 'inventory-service', 'scheduler-worker']),
      rounds: 2,
    }),
  },
  {
    draw: (random, stream) => ({
      kind: 'clock wrong by five minutes',
      victim: random.oneOf(victims(stream)),
      shiftMs: random.oneOf([-300_000, 300_000]),
    }),
  },
  {
    draw: (random) => ({
      kind: 'Postgres restarted',
      signal: random.oneOf(['SIGINT', 'SIGQUIT']),
      ms: outage(random),
    }),
  },
  { draw: (random) => ({ kind: 'Postgres read-only', ms: outage(random) }) },
  { draw: (random) => ({ kind: 'connections cut after COMMIT', times: 3 + random.below(8) }) },
  { draw: (random) => ({ kind: 'Redis killed', ms: outage(random) }) },
  { draw: () => ({ kind: 'Redis flushed' }) },
  { draw: () => ({ kind: 'Redis back from an older snapshot' }) },
  { draw: (random) => ({ kind: 'Redis refuses writes', ms: outage(random) }) },
  { draw: () => ({ kind: 'Redis fails over' }) },
  { only: 'kafka', draw: (random) => ({ kind: 'Kafka killed', ms: outage(random) }) },
  {
    draw: (random, stream) => ({
      kind: 'network slow, then cut',
      peer: random.oneOf(peers(stream)),
      ms: outage(random),
    }),
  },
  { draw: (random, stream) => ({ kind: 'network silent', peer: random.oneOf(peers(stream)) }) },
  { draw: (random) => ({ kind: 'duplicates on the stream', events: 20 + random.below(60) }) },
];

export function planOf(seed: number, stream: Stream, length: number): Fault[] {
  const random = seeded(seed);
  const draws = DRAWS.filter(({ only }) => only === undefined || only === stream);
  const plan: Fault[] = [];
  while (plan.length < length) plan.push(...random.shuffled(draws).map(({ draw }) => draw(random, stream)));
  return plan.slice(0, length);
}

/** The fault in words. */
export function describeFault(fault: Fault): string {
  const { kind, ...details } = fault;
  const words = Object.values(details).join(', ');
  return words ? `${kind} (${words})` : kind;
}
