/** Shrinks a run that failed: fewer orders, fewer requests and fewer faults, as long as the same invariant breaks. */
import { broken as brokenBy } from '../../cmd/audit/audit.ts';
import type { Plan, PlannedOrder } from './plan.ts';
import type { Fault } from './scheduler.ts';
import { type Run, simulate } from './simulation.ts';
import type { Broken } from './system.ts';

const MOST_TRIES = 300;

/** The names of what a run breaks; `surprise` for what no invariant covers. */
export function faultsOf({ report, surprises }: Run): string[] {
  return [...brokenBy(report), ...(surprises.length > 0 ? ['surprise'] : [])];
}

export async function shrink(run: Run, broken: Broken = {}): Promise<Run> {
  const wanted = faultsOf(run)[0];
  const at = new Map([...run.injected].map(([call, { fault }]) => [call, fault]));
  let best = run;
  let tries = 0;
  const attempt = async (plan: Plan): Promise<boolean> => {
    tries += 1;
    const next = await simulate(plan, broken);
    if (!wanted || !faultsOf(next).includes(wanted)) return false;
    best = next;
    return true;
  };
  // With exactly its own faults the run is the same run.
  await attempt({ ...run.plan, faults: { at } });
  for (let hasShrunk = true; hasShrunk && tries < MOST_TRIES; ) {
    hasShrunk = false;
    for (const plan of smaller(best.plan)) {
      if (tries >= MOST_TRIES) break;
      if (await attempt(plan)) {
        hasShrunk = true;
        break;
      }
    }
  }
  return best;
}

function* smaller(plan: Plan): Generator<Plan> {
  for (const orders of without(plan.orders)) if (orders.length > 0) yield { ...plan, orders };
  for (const [n, order] of plan.orders.entries())
    for (const steps of without(order.steps)) {
      const orders: PlannedOrder[] = [...plan.orders];
      orders[n] = { ...order, steps };
      yield { ...plan, orders };
    }
  if ('at' in plan.faults)
    for (const faults of without<[number, Fault]>([...plan.faults.at]))
      yield { ...plan, faults: { at: new Map(faults) } };
}

/** The list without its first half, without its second half, and without each of its members. */
function* without<T>(list: readonly T[]): Generator<T[]> {
  if (list.length > 3) {
    const half = list.length >> 1;
    yield list.slice(half);
    yield list.slice(0, half);
  }
  for (const [n] of list.entries()) yield [...list.slice(0, n), ...list.slice(n + 1)];
}
