/** Measures one fault of a server: how soon it is reported, and how soon after its end everything works again. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Program } from '../../test/support/program.ts';
import type { Fault } from './faults.ts';
import { ordersOn, type Watched } from './orders.ts';
import { watchReadiness } from './readiness.ts';
import type { Link, Servers } from './servers.ts';

/** Orders become due this often, from before the fault until after its end. */
const DUE_EVERY_MS = 500;
/** Orders are placed for this time before the fault. */
const BEFORE_MS = 1_000;
/** Orders that are placed, or due, until this time after the fault's end count, too. */
const AFTER_MS = 3_000;
const WITHIN_MS = 60_000;

export interface Scene {
  readonly servers: Servers;
  readonly link: Link;
  readonly programs: ReadonlyMap<string, Program>;
}

/**
 * Milliseconds. Recovery counts from when the server accepts again, or, if it was never away, from the fault; an order
 * that was placed or due later counts from then.
 */
export interface Recovery {
  /** Until every order that a client placed, or tried to place, was completed. */
  readonly placedMs: number;
  /** Until every order that was due was dispatched. */
  readonly dueMs: number;
  readonly readyMs: number;
  /** From the fault until each program said that it is not ready; undefined if it never did. */
  readonly notReadyMs: ReadonlyMap<string, number | undefined>;
}

export async function measureOutage(scene: Scene, fault: Fault, ms: number): Promise<Recovery> {
  const { servers, link, programs } = scene;
  const orders = ordersOn(servers);
  const readiness = watchReadiness(programs);
  const { url } = programs.get('order-service') as Program;
  try {
    await readiness.allReady(performance.now());
    const name = `${fault.name}-${ms}-${Date.now()}`.replaceAll(/[^\w-]/g, '');
    const due: Watched[] = [];
    const lastDueMs = BEFORE_MS + (fault.isMoment ? 0 : ms) + AFTER_MS;
    for (let inMs = DUE_EVERY_MS; inMs < lastDueMs; inMs += DUE_EVERY_MS)
      due.push(await orders.place(url, `${name}-due-${inMs}`, inMs));
    const stopPlacing = orders.keepPlacing(url, name);
    await pause(BEFORE_MS);
    const began = performance.now();
    const end = await fault.begin(servers, link);
    if (!fault.isMoment) await pause(Math.max(0, began + ms - performance.now()));
    await end();
    const over = fault.isMoment ? began : performance.now();
    const [readyAt] = await Promise.all([readiness.allReady(over), pause(AFTER_MS)]);
    const placed = await stopPlacing();
    await orders.settled(WITHIN_MS);
    return {
      placedMs: longest(placed, over, ({ completedAt }) => completedAt),
      dueMs: longest(due, over, ({ dispatchedAt }) => dispatchedAt),
      readyMs: readyAt - over,
      notReadyMs: readiness.notReadyAfter(began),
    };
  } finally {
    await Promise.all([orders.stop(), readiness.stop()]);
  }
}

/** The longest wait for `end` of the orders, each from when it was wanted, but not before `from`. */
export function longest(
  orders: readonly Watched[],
  from: number,
  end: (order: Watched) => number | undefined,
): number {
  const waits = orders.map(
    (order) => (end(order) ?? Number.POSITIVE_INFINITY) - Math.max(order.wantedAt, from),
  );
  return Math.max(0, ...waits);
}
