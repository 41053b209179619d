/** What happens in a run, drawn from its seed: the orders, what clients do to them, and which faults there are. */

import { mix, random } from './random.ts';
import type { Fault, Faults } from './scheduler.ts';

export interface Step {
  readonly op: 'cancel' | 'reschedule';
  /** Milliseconds after the start of the run. */
  readonly at: number;
  /** For how long after that time the order is rescheduled. */
  readonly byMs: number;
}

export interface PlannedOrder {
  readonly id: string;
  readonly kind: 'plain' | 'items' | 'restaurant' | 'delivery' | 'everything';
  readonly restaurant: 'manual' | 'automatic';
  readonly placeAt: number;
  /** Milliseconds from placing to the scheduled time; absent for an immediate order. */
  readonly aheadMs?: number;
  readonly item: 'rice' | 'scarce';
  readonly quantity: number;
  readonly isDeclined: boolean;
  readonly steps: readonly Step[];
  readonly kitchen: 'accepts' | 'rejects' | 'silent';
  readonly rider: 'delivers' | 'never picks up' | 'never arrives';
}

export interface Plan {
  readonly seed: number;
  readonly stream: 'log' | 'broker';
  readonly orders: readonly PlannedOrder[];
  readonly faults: Faults;
  /** Milliseconds. */
  readonly skewMs: number;
}

const KINDS = ['plain', 'plain', 'items', 'items', 'restaurant', 'delivery', 'everything'] as const;
/** Each run has some kinds of faults, so that what one kind hides another run shows. */
const PROFILES: readonly (readonly Fault[])[] = [
  [],
  ['crash', 'crash-after'],
  ['away', 'lost'],
  ['slow', 'pause'],
  ['flush', 'slow'],
  ['again', 'lost'],
  ['crash', 'crash-after', 'away', 'lost', 'slow', 'again'],
  ['crash', 'crash-after', 'away', 'lost', 'slow', 'again', 'pause', 'flush'],
];
const SHARES = [0.001, 0.003, 0.01, 0.02];

export function planOf(seed: number): Plan {
  const draw = random(mix(seed) ^ 0x51ed270b);
  const count = draw.integer(1, 6);
  const orders = Array.from({ length: count }, (_, n): PlannedOrder => {
    const placeAt = draw.integer(0, 10_000);
    const isAhead = draw.chance(0.6);
    const aheadMs = draw.integer(500, 15_000);
    const dueAt = placeAt + (isAhead ? aheadMs : 0);
    const steps = Array.from({ length: draw.oneOf([0, 0, 1, 1, 2, 3]) }, (): Step => {
      // Most requests come within a moment of the dispatch.
      const near = dueAt + draw.integer(-30, 60);
      return {
        op: draw.chance(0.5) ? 'cancel' : 'reschedule',
        at: draw.chance(0.7) ? near : draw.integer(placeAt, dueAt + 20_000),
        byMs: draw.integer(-500, 6_000),
      };
    });
    return {
      id: `o${n + 1}`,
      kind: draw.oneOf(KINDS),
      restaurant: draw.chance(0.5) ? 'manual' : 'automatic',
      placeAt,
      ...(isAhead ? { aheadMs } : {}),
      item: draw.chance(0.2) ? 'scarce' : 'rice',
      quantity: draw.integer(1, 2),
      isDeclined: draw.chance(0.1),
      steps: steps.sort((a, b) => a.at - b.at),
      kitchen: draw.oneOf(['accepts', 'accepts', 'accepts', 'rejects', 'silent']),
      rider: draw.oneOf(['delivers', 'delivers', 'delivers', 'never picks up', 'never arrives']),
    };
  });
  const kinds = draw.oneOf(PROFILES);
  return {
    seed,
    stream: draw.chance(0.5) ? 'log' : 'broker',
    orders,
    faults: { seed: mix(seed ^ 0x2545f491), share: kinds.length === 0 ? 0 : draw.oneOf(SHARES), kinds },
    skewMs: draw.integer(0, 100),
  };
}
