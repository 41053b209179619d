/** Faults of Tiffin's own processes. */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { type FaultKind, faultKind, type Stream } from '../fault.ts';
import type { Seeded } from '../seeded.ts';
import { POINTS } from './kill-points.ts';

/** How long a process may take to reach the point at which it is killed. */
const POINT_LIMIT_MS = 20_000;
const CLOCK_WRONG_MS = 5_000;
const HALF_SENT =
  'POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{';

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

function oneProcess(random: Seeded, stream: Stream): string {
  return random.oneOf(stream === 'kafka' ? [...ON_EITHER, 'event-relay'] : ON_EITHER);
}

const killedAtPoints = Object.entries(POINTS).map(([name, { call, victims, withinFirst, only }]) =>
  faultKind({
    kind: `process killed at a point: ${name}`,
    only,
    // The call of this number, counted from the moment it is armed, is the last one.
    details: (random) => ({ service: random.oneOf(victims), nth: 1 + random.below(withinFirst) }),
    async cause({ fleet }, { service, nth }) {
      // Of several, one may have no work.
      const members = [...fleet.members.values()].filter(({ name }) => name.startsWith(service));
      const hasDied = await Promise.race(members.map((one) => one.killAt(call, nth, POINT_LIMIT_MS)));
      for (const one of members) one.spare();
      return hasDied;
    },
  }),
);

export const PROCESS_FAULTS: readonly FaultKind[] = [
  faultKind({
    kind: 'process killed',
    details: (random, stream) => ({ victim: oneProcess(random, stream) }),
    cause: async ({ fleet }, { victim }) => fleet.member(victim).signal('SIGKILL'),
  }),
  ...killedAtPoints,
  faultKind({
    kind: 'process stopped past its lease',
    details: (random, stream) => ({ victim: oneProcess(random, stream), ms: 7_000 + random.below(2_000) }),
    async cause({ fleet }, { victim, ms }) {
      fleet.member(victim).signal('SIGSTOP');
      await pause(ms);
      fleet.member(victim).signal('SIGCONT');
    },
  }),
  faultKind({
    kind: 'process restarted while requests are half sent',
    details: (random) => ({
      victim: random.oneOf(['order-service', 'payment-service', 'restaurant-service']),
    }),
    async cause({ fleet }, { victim }) {
      const member = fleet.member(victim);
      const sockets = Array.from({ length: 20 }, () => {
        const socket = connect(Number(new URL(member.url).port), '127.0.0.1');
        socket.on('error', () => {});
        socket.write(HALF_SENT);
        return socket;
      });
      await member.restart(0);
      for (const socket of sockets) socket.destroy();
    },
  }),
  faultKind({
    kind: 'members join and leave',
    details: (random) => ({
      service: random.oneOf([
        'processing-service',
        'inventory-service',
        'scheduler-worker',
        'payment-service',
      ]),
      rounds: 2,
    }),
    async cause({ fleet }, { service, rounds }) {
      for (let round = 1; round <= rounds; round++) {
        const guest = await fleet.add('guest', [service]);
        await until('the guest to be ready', guest.isReady);
        await fleet.remove('guest');
      }
    },
  }),
  faultKind({
    kind: 'clock wrong by five minutes',
    details: (random, stream) => ({
      victim: oneProcess(random, stream),
      shiftMs: random.oneOf([-300_000, 300_000]),
    }),
    async cause({ fleet }, { victim, shiftMs }) {
      await fleet.member(victim).restart(shiftMs);
      await until('the process to be ready', fleet.member(victim).isReady);
      await pause(CLOCK_WRONG_MS);
      await fleet.member(victim).restart(0);
    },
  }),
];
