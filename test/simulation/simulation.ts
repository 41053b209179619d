/** One run of the simulation: a plan becomes a history, which the auditor checks. */
import { audit, type Report } from '../../cmd/audit/audit.ts';
import { type HistoryLine, historyOf, type StateLine } from '../../cmd/audit/history.ts';
import type { Event } from '../../internal/domain/events.ts';
import { isDelivered } from '../../internal/domain/order.ts';
import type { Plan } from './plan.ts';
import { type Fault, scheduler } from './scheduler.ts';
import { type Broken, DEADLINES, type System, system } from './system.ts';
import { RIDERS, STOCK, town } from './town.ts';
import { watched } from './watchdog.ts';

/** What faults may add to a limit: a lost timer is found by the second look of the reconciler, a minute later. */
const GRACE_MS = 90_000;
const LIMITS = { ...DEADLINES, dispatch: 10_000 };
/** Faults happen in this time, counted from the start. */
const STORM_MS = 40_000;
/**
 * A run ends when nothing was appended for this long, and sooner if every order has ended: after faults when the reconciler
 * has looked twice, without them sooner.
 */
const QUIET_MS = 150_000;
const SETTLED_MS = 75_000;
const UNHARMED_MS = 45_000;
/** A run that is not over after this time, or after this many turns, has failed. Most take some thousands of turns. */
const LONGEST_MS = 300_000;
const MOST_TURNS = 100_000;

export interface Run {
  readonly plan: Plan;
  readonly report: Report;
  readonly history: readonly HistoryLine[];
  readonly injected: ReadonlyMap<number, { readonly fault: Fault; readonly call: string }>;
  /** Errors that the log would have shown, dead letters, riders that carry what nobody gave them, and a run without end. */
  readonly surprises: readonly string[];
}

export async function simulate(plan: Plan, broken: Broken = {}): Promise<Run> {
  const simulation = scheduler(plan.seed, plan.faults);
  const installation = system(simulation, plan.stream, broken);
  installation.fulfilment.seed(STOCK, RIDERS);
  const api = simulation.process('api', plan.skewMs);
  const clients = town(simulation, installation, api, plan.orders);
  const skews = [plan.skewMs, -plan.skewMs];
  for (const [n, skewMs] of skews.entries()) {
    installation.start(simulation.process(`scheduler-${n + 1}`, skewMs), 'scheduler');
    installation.start(simulation.process(`worker-${n + 1}`, -skewMs), 'worker');
  }
  installation.start(api, 'api');
  clients.open();

  const startedAt = simulation.now();
  let count = 0;
  let lastAt = startedAt;
  let turns = 0;
  let isOver = false;
  const endsAfterTurn = () => {
    const now = simulation.now();
    turns += 1;
    if (now - startedAt > LONGEST_MS || turns > MOST_TURNS) return true;
    if (now - startedAt > STORM_MS) simulation.calm();
    const appended = installation.db.log().length;
    if (appended !== count) lastAt = now;
    count = appended;
    if (!clients.isDone()) return false;
    const settledMs = simulation.injected.size > 0 ? SETTLED_MS : UNHARMED_MS;
    const quietMs = now - lastAt;
    isOver = quietMs > settledMs && (quietMs > QUIET_MS || allEnded(installation));
    return isOver;
  };
  await watched(plan.seed, () => simulation.run(endsAfterTurn));
  const surprises = surprisesOf(installation);
  if (!isOver)
    surprises.push(`the run was not over after ${turns} turns in ${simulation.now() - startedAt} ms`);
  const history = [
    ...clients.history,
    ...statesOf(installation, simulation.now(), plan, simulation.injected),
  ];
  return {
    plan,
    report: audit(historyOf(history)),
    history,
    injected: simulation.injected,
    surprises,
  };
}

const ENDS = ['COMPLETED', 'DELIVERED', 'FAILED', 'REJECTED', 'CANCELLED'];

function allEnded({ stores }: System): boolean {
  return stores.ordersNow().every(({ status }) => ENDS.includes(status));
}

/** The events, in the order in which they were appended. */
function eventsIn(db: System['db']): Event[] {
  const rows = db.log().filter(({ topic }) => topic === undefined);
  return rows.map(({ record }) => record as Event);
}

function statesOf(
  { stores, fulfilment, outside, db, consumers, liveViews }: System,
  now: number,
  plan: Plan,
  injected: Run['injected'],
): StateLine[] {
  const { stock, reservations, payments } = fulfilment.now();
  const initial = STOCK as Readonly<Record<string, number>>;
  const orders = stores.ordersNow();
  return [
    {
      type: 'state',
      kind: 'run',
      endedAt: now,
      limits: LIMITS,
      graceMs: GRACE_MS,
      skewMs: 2 * plan.skewMs,
    },
    ...orders.map(
      (order): StateLine => ({
        type: 'state',
        kind: 'order',
        orderId: order.id,
        status: order.status,
        ...('reason' in order && order.reason ? { reason: order.reason } : {}),
        dueAt: order.dueAt,
        totalMinor: order.total.minor,
        hasItems: order.items.length > 0,
        ...(order.restaurantId ? { restaurantId: order.restaurantId } : {}),
        isDelivered: isDelivered(order),
        version: order.version,
        timeline: [...order.timeline],
      }),
    ),
    ...eventsIn(db).map(({ eventId, eventType, orderId, occurredAt, payload }): StateLine => {
      return {
        type: 'state',
        kind: 'event',
        eventId,
        eventType,
        orderId,
        at: Date.parse(occurredAt),
        ...('version' in payload ? { version: payload.version } : {}),
        ...('dueAt' in payload && payload.dueAt ? { dueAt: Date.parse(payload.dueAt) } : {}),
      };
    }),
    ...payments.map(
      ({ orderId, state, authorizedMinor, capturedMinor, refundedMinor }): StateLine => ({
        type: 'state',
        kind: 'payment',
        ...{ orderId, state, authorizedMinor, capturedMinor, refundedMinor },
      }),
    ),
    ...outside.authorizations().map((one): StateLine => ({ type: 'state', kind: 'authorization', ...one })),
    ...[...stock].map(
      ([itemId, left]): StateLine => ({
        type: 'state',
        kind: 'stock',
        itemId,
        initial: initial[itemId] ?? 0,
        left,
      }),
    ),
    ...reservations.map(
      ({ orderId, state, lines }): StateLine => ({
        type: 'state',
        kind: 'reservation',
        orderId,
        state,
        lines: [...lines],
      }),
    ),
    ...outside.messages().map((message): StateLine => ({ type: 'state', kind: 'message', ...message })),
    ...consumers.map(
      ({ name, types, isIdempotent }): StateLine => ({
        type: 'state',
        kind: 'consumer',
        consumer: name,
        types: [...types],
        marks: !isIdempotent,
      }),
    ),
    ...stores.processedNow().map((mark): StateLine => ({ type: 'state', kind: 'processed', ...mark })),
    ...stores.lettersNow().map(
      ({ consumer, eventId, orderId }): StateLine => ({
        type: 'state',
        kind: 'dead-letter',
        consumer,
        eventId,
        orderId,
      }),
    ),
    ...[...liveViews.values()].flatMap((view): StateLine[] => {
      const orderId = view.order.id;
      const [built] = fulfilment.viewOf(orderId);
      // The revision orders views, and is no part of what they show.
      return [
        { type: 'state', kind: 'view', orderId, source: 'live', value: { ...view, revision: undefined } },
        { type: 'state', kind: 'view', orderId, source: 'rebuilt', value: { ...built, revision: undefined } },
      ];
    }),
    ...[...injected.values()].map(({ fault }): StateLine => {
      return { type: 'state', kind: 'mark', name: `fault:${fault}` };
    }),
  ];
}

function surprisesOf({ faults, stores, fulfilment }: System): string[] {
  const { riders, deliveries } = fulfilment.now();
  const carried = riders.flatMap(({ id, carrying }) => {
    const own = deliveries.filter(
      ({ riderId, state }) => riderId === id && (state === 'ASSIGNED' || state === 'PICKED_UP'),
    );
    return own.length === carrying ? [] : [`rider ${id} carries ${carrying}, and has ${own.length}`];
  });
  return [
    ...faults,
    ...stores.lettersNow().map(({ consumer, error }) => `a dead letter of ${consumer}: ${error}`),
    ...carried,
  ];
}
