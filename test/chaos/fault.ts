/** What a fault is: its details follow from the seed, and it is caused on a running installation. */

import type { TestProvider } from '../support/notification-provider.ts';
import type { Fleet } from './fleet.ts';
import type { PaymentProvider } from './providers.ts';
import type { Seeded } from './seeded.ts';
import type { Servers } from './servers.ts';

export type Stream = 'postgres' | 'kafka';
/** What is reached over the network, each through a proxy of its own. */
export type Peer = 'postgres' | 'redis' | 'kafka';

/** What a fault acts on. */
export interface Scene {
  readonly fleet: Fleet;
  readonly servers: Servers;
  readonly payments: PaymentProvider;
  readonly messages: TestProvider;
  /** The id of the order that was placed last. */
  readonly latestOrder: () => string;
}

/** Names are those of processes of the fleet, times are milliseconds. */
export type Details = Readonly<Record<string, string | number>>;

export interface Fault {
  readonly kind: string;
  readonly details: Details;
  /** Resolves when the fault is over; with false if it did not come about. */
  cause(scene: Scene): Promise<boolean>;
}

export interface FaultKind {
  readonly kind: string;
  /** The only stream that it belongs to. */
  readonly only?: Stream;
  draw(random: Seeded, stream: Stream): Fault;
}

interface Description<D extends Details> {
  readonly kind: string;
  readonly only?: Stream | undefined;
  readonly details?: (random: Seeded, stream: Stream) => D;
  /** False if the fault did not come about, such as a process that did not reach its point in time. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most faults come about always
  readonly cause: (scene: Scene, details: D) => Promise<boolean | void>;
}

export function faultKind<D extends Details>({ kind, only, details, cause }: Description<D>): FaultKind {
  return {
    kind,
    ...(only ? { only } : {}),
    draw(random, stream) {
      const drawn = details?.(random, stream) ?? ({} as D);
      return { kind, details: drawn, cause: async (scene) => (await cause(scene, drawn)) !== false };
    },
  };
}

/** How long a server is away. */
export const outage = (random: Seeded) => 1_500 + random.below(2_500);

/** The fault in words. */
export function describeFault({ kind, details }: Fault): string {
  const words = Object.values(details).join(', ');
  return words ? `${kind} (${words})` : kind;
}
