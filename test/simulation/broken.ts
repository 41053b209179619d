/** Deliberately broken builds: each replaces one port, and the auditor must notice. docs/testing.md lists them. */
import type { InvariantName } from '../../cmd/audit/audit.ts';
import { addUp } from '../../internal/domain/inventory.ts';
import { sessionOf } from './database.ts';
import { type Plan, planOf } from './plan.ts';
import type { Fault } from './scheduler.ts';
import type { Broken } from './system.ts';

export const BROKEN_BUILDS: readonly {
  readonly name: string;
  readonly broken: Broken;
  /** The invariant that must break, in at most `within` runs. */
  readonly caughtBy: InvariantName;
  readonly within: number;
  /** The faults under which the build is run, if not those of each plan. */
  readonly faults?: { readonly share: number; readonly kinds: readonly Fault[] };
}[] = [
  {
    name: 'dispatch without a lease',
    broken: {
      // A claim is acknowledged before it is published, and has no lease, so nothing brings it back when publishing fails.
      queue: (queue) => ({
        ...queue,
        async claim(shard, limit) {
          const claim = await queue.claim(shard, limit);
          await queue.acknowledge(shard, claim.lease, [...claim.due, ...claim.timers]);
          return { ...claim, lease: '0' };
        },
      }),
    },
    caughtBy: 'ended-by-deadline',
    within: 100,
    faults: { share: 0.03, kinds: ['away'] },
  },
  {
    name: 'a consumer without its processed_events row',
    broken: { marks: false },
    caughtBy: 'events-accounted-for',
    within: 20,
  },
  {
    name: 'a release without its reservation',
    broken: {
      // Gives back what an order asked for, whether it was reserved or not.
      inventory: (inventory, { addToStock, linesOf }) => ({
        ...inventory,
        async release(tx, orderIds) {
          const released = await inventory.release(tx, orderIds);
          const known = new Set(released.map(({ orderId }) => orderId));
          for (const { itemId, quantity } of addUp(orderIds.filter((id) => !known.has(id)).flatMap(linesOf)))
            await addToStock(sessionOf(tx), itemId, quantity);
          return released;
        },
      }),
    },
    caughtBy: 'stock-conserved',
    within: 50,
  },
  {
    name: 'a horizon by position alone',
    broken: { horizon: false },
    caughtBy: 'events-accounted-for',
    within: 150,
  },
  {
    name: 'reconcile without deadlines',
    broken: { rebuildsDeadlines: false },
    caughtBy: 'ended-by-deadline',
    within: 150,
    faults: { share: 0.005, kinds: ['flush'] },
  },
];

/** The plan of a seed for a broken build. */
export function planFor({ faults }: (typeof BROKEN_BUILDS)[number], seed: number): Plan {
  const plan = planOf(seed);
  return faults ? { ...plan, faults: { seed, ...faults } } : plan;
}
