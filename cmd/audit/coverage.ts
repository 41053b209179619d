/** What a run reached: transitions, outcomes and races. A run that did not reach what it is about has shown nothing. */
import { by, type History } from './history.ts';
import { statusesOf } from './order-invariants.ts';

/** How often each mark was reached. */
export type Coverage = Map<string, number>;

/** A request and a dispatch this close to each other, milliseconds, are a race. */
const RACE_MS = 50;

/**
 * The marks of a history: `CREATED>PROCESSING` for a transition, `cancel:ok`, `cancel:fail` and `cancel:info` for an
 * outcome, `cancel~start` for a request that raced the dispatch, `dead-letter`, and the marks that the run itself wrote.
 */
export function coverageOf({ operations, states }: History): Coverage {
  const coverage: Coverage = new Map();
  const reach = (name: string, count = 1) => coverage.set(name, (coverage.get(name) ?? 0) + count);
  const orders = by(states.order, 'orderId');
  for (const order of orders.values()) {
    const steps = statusesOf(order).map(({ status }) => status);
    for (const [n, to] of steps.entries()) if (n > 0) reach(`${steps[n - 1]}>${to}`);
  }
  for (const { op, outcome, orderId, invokedAt, returnedAt } of operations) {
    reach(`${op}:${outcome}`);
    const order = orders.get(orderId);
    const start = order && statusesOf(order).find(({ status }) => status === 'PROCESSING');
    if (start && op !== 'place' && start.at >= invokedAt - RACE_MS && start.at <= returnedAt + RACE_MS)
      reach(`${op}~start`);
  }
  for (const _ of states['dead-letter']) reach('dead-letter');
  for (const { name, count } of states.mark) reach(name, count);
  return coverage;
}
