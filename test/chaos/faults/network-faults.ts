/** Faults of the network between the processes and each server, and of the providers outside. */
import { setTimeout as pause } from 'node:timers/promises';
import { type FaultKind, faultKind, outage, type Peer } from '../fault.ts';

const SLOW_MS = 150;
const PEERS: readonly Peer[] = ['postgres', 'redis', 'kafka'];

const ofPeer = (peer: Peer): FaultKind[] => {
  const only = peer === 'kafka' ? 'kafka' : undefined;
  return [
    faultKind({
      kind: `network slow, then cut: ${peer}`,
      only,
      details: (random) => ({ ms: outage(random) }),
      async cause({ servers }, { ms }) {
        const proxy = servers.proxies[peer];
        proxy?.delay(SLOW_MS);
        await pause(ms);
        await proxy?.cut();
        proxy?.delay(0);
        await pause(ms);
        await proxy?.restore();
      },
    }),
    faultKind({
      kind: `connections silent: ${peer}`,
      only,
      cause: async ({ servers }) => servers.proxies[peer]?.silence(),
    }),
    faultKind({
      kind: `host silent: ${peer}`,
      only,
      details: (random) => ({ ms: 4_000 + random.below(4_000) }),
      async cause({ servers }, { ms }) {
        servers.proxies[peer]?.vanish();
        await pause(ms);
        servers.proxies[peer]?.reappear();
      },
    }),
  ];
};

export const NETWORK_FAULTS: readonly FaultKind[] = [
  ...PEERS.flatMap(ofPeer),
  faultKind({
    kind: 'providers of payments and messages refuse',
    details: (random) => ({ status: random.oneOf([429, 500, 503]), ms: outage(random) }),
    async cause({ payments, messages }, { status, ms }) {
      payments.refuseWith(status);
      messages.answer = () => status;
      await pause(ms);
      payments.refuseWith(undefined);
      messages.answer = () => 202;
    },
  }),
];
