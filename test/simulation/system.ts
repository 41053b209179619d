/** The simulated installation: two schedulers, two workers and an API, which run the real use cases on simulated servers. */
import type { Deadlines } from '../../internal/domain/deadlines.ts';
import { matchConsumer, requestConsumer } from '../../internal/service/delivery/assign-rider.ts';
import { etaConsumer } from '../../internal/service/delivery/refresh-eta.ts';
import { releaseConsumer as releaseRiders } from '../../internal/service/delivery/track-delivery.ts';
import type { Inventory } from '../../internal/service/inventory/ports.ts';
import { releaseConsumer, reserveConsumer } from '../../internal/service/inventory/reserve-inventory.ts';
import { startLoop } from '../../internal/service/loop.ts';
import { notifyConsumer } from '../../internal/service/notifications/notify-customers.ts';
import { confirmConsumer } from '../../internal/service/orders/confirm-orders.ts';
import { deadlineConsumer } from '../../internal/service/orders/expire-deadlines.ts';
import { completeConsumer, startConsumer } from '../../internal/service/orders/process-order.ts';
import { settleConsumer } from '../../internal/service/payments/settle-payments.ts';
import type { Log, Meter } from '../../internal/service/ports.ts';
import { followConsumer, openConsumer } from '../../internal/service/restaurants/keep-tickets.ts';
import { dispatcher } from '../../internal/service/scheduling/dispatch-due.ts';
import type { DueQueue } from '../../internal/service/scheduling/ports.ts';
import { reconciler } from '../../internal/service/scheduling/reconcile-queue.ts';
import { scheduleConsumer } from '../../internal/service/scheduling/schedule-orders.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import type { AnyConsumer } from '../../internal/service/stream/consumer.ts';
import { relayEvents } from '../../internal/service/stream/relay-events.ts';
import type { OrderViews } from '../../internal/service/views/ports.ts';
import { viewsConsumer } from '../../internal/service/views/project-views.ts';
import { memoryQueue } from '../support/in-memory-queue.ts';
import { memoryViews } from '../support/in-memory-views.ts';
import { database } from './database.ts';
import { type FulfilmentStores, fulfilmentStores } from './fulfilment-stores.ts';
import { orderStores } from './order-stores.ts';
import { providers } from './providers.ts';
import type { Process, Scheduler } from './scheduler.ts';
import { brokerStream, logStream, simulatedLog } from './streams.ts';
import { RESTAURANTS } from './town.ts';
import { watchViews } from './watch-views.ts';

export const DEADLINES: Deadlines = {
  processing: 20_000,
  acceptance: 15_000,
  rider: 20_000,
  pickUp: 20_000,
  delivery: 20_000,
  collection: 25_000,
};
const LEASE_MS = 5_000;
const INTERVAL_MS = 3_000;
const RULES = {
  defaultDistanceM: 3_000,
  detourFactor: 1.3,
  speedMps: 5,
  handoverMs: 1_000,
  loadPenaltyM: 1_500,
};
/** A process that died is started again after this time. */
const RESTART_MS = [300, 3_000] as const;

/** Ports or use cases that are replaced by broken ones, to see that the auditor notices. */
export interface Broken {
  readonly queue?: (queue: DueQueue) => DueQueue;
  readonly inventory?: (inventory: Inventory, stores: FulfilmentStores) => Inventory;
  readonly horizon?: false;
  readonly marks?: false;
  readonly rebuildsDeadlines?: false;
}

export type System = ReturnType<typeof system>;

export function system(simulation: Scheduler, stream: 'log' | 'broker', broken: Broken = {}) {
  const { call, now } = simulation;
  const db = database(simulation, { horizon: broken.horizon ?? true });
  const stores = orderStores(simulation, db, { marks: broken.marks ?? true });
  const fulfilment = fulfilmentStores(simulation, db, stores, RESTAURANTS);
  const outside = providers(simulation);
  const faults: string[] = [];
  const log: Log = {
    debug() {},
    info() {},
    warn() {},
    error: (fields, message) => void faults.push(`${message}: ${(fields.err as Error)?.stack ?? ''}`),
  };
  const meter: Meter = { count() {}, observe() {} };
  const redis = memoryQueue({ now }, { leaseMs: LEASE_MS, state: 'lost' });
  const cache = memoryViews();
  simulation.onFault('flush', () => {
    redis.flush();
    cache.stored.clear();
  });
  const eventLog = simulatedLog(simulation, db, stores);
  const { bus, send } = stream === 'log' ? logStream(eventLog, stores, log) : brokerStream(simulation);
  let lastId = 0;

  const calledQueue: DueQueue = {
    shards: redis.shards,
    schedule: (...args) => call('schedule', () => redis.schedule(...args)),
    remove: (...args) => call('remove', () => redis.remove(...args)),
    claim: (...args) => call('claim', () => redis.claim(...args)),
    acknowledge: (...args) => call('acknowledge', () => redis.acknowledge(...args)),
    missing: (...args) => call('missing', () => redis.missing(...args)),
    setState: (...args) => call('set state', () => redis.setState(...args)),
    mark: () => call('mark', () => redis.mark()),
    size: () => redis.size(),
  };
  const views: OrderViews = {
    put: (all) => call('put views', () => cache.views.put(all)),
    get: cache.views.get,
  };
  watchViews(db, fulfilment.viewOf, (fault) => faults.push(fault));
  const shared = {
    ...stores,
    ...fulfilment,
    ...outside.ports,
    inventory: broken.inventory?.(fulfilment.inventory, fulfilment) ?? fulfilment.inventory,
    queue: broken.queue?.(calledQueue) ?? calledQueue,
    orderSchedule:
      broken.rebuildsDeadlines === false
        ? { ...stores.orderSchedule, async *inFlight() {} }
        : stores.orderSchedule,
    bus,
    views,
    log,
    meter,
    deadlines: DEADLINES,
    rules: RULES,
    etaRefreshMs: 8_000,
    checksMs: 0,
    timeZone: 'UTC',
    newEventId: () => {
      lastId += 1;
      return `event-${lastId}`;
    },
    eventIdFor: (name: string) => `derived from ${name}`,
  };

  const depsOf = (process: Process) => ({ ...shared, clock: { now: () => now() + process.skewMs } });

  function consume(deps: ReturnType<typeof depsOf>, consumers: readonly AnyConsumer[]): void {
    for (const consumer of consumers) void bus.subscribe(subscriptionOf(deps, consumer));
  }

  function startScheduler(process: Process): void {
    const deps = depsOf(process);
    const reconciling = reconciler({ ...deps, onAdded: () => dispatchLoop.wake() });
    const dispatching = dispatcher(
      {
        ...deps,
        wake: () => dispatchLoop.wake(),
        onLost: () => {
          if (reconciling.lost()) reconcileLoop.wake();
        },
      },
      { intervalMs: INTERVAL_MS },
    );
    consume(deps, [
      scheduleConsumer({ ...deps, onScheduled: (earliest) => dispatching.scheduled(earliest) }),
    ]);
    const dispatchLoop = startLoop('dispatch', () => dispatching.runOnce(), log);
    const reconcileLoop = startLoop('reconcile', () => reconciling.runOnce(), log);
  }

  function consumersOf(deps: ReturnType<typeof depsOf>): AnyConsumer[] {
    return [
      startConsumer(deps),
      completeConsumer(deps),
      confirmConsumer(deps),
      deadlineConsumer(deps),
      reserveConsumer(deps),
      releaseConsumer(deps),
      settleConsumer({ ...deps, provider: deps.paymentProvider }),
      openConsumer(deps),
      followConsumer(deps),
      requestConsumer(deps),
      matchConsumer(deps),
      etaConsumer(deps),
      releaseRiders(deps),
      notifyConsumer({ ...deps, provider: deps.notificationProvider }),
      viewsConsumer(deps),
    ] as AnyConsumer[];
  }

  function startWorker(process: Process): void {
    const deps = depsOf(process);
    consume(deps, consumersOf(deps));
    if (stream === 'broker') startLoop('relay', relayEvents({ ...deps, eventLog, sink: { send } }, {}), log);
  }

  const starts = new Map<Process, (process: Process) => void>();
  simulation.onCrash((process) => {
    simulation.later(process, RESTART_MS[0] + simulation.latency() * 40, () => {
      process.isAlive = true;
      starts.get(process)?.(process);
    });
  });

  return {
    ...shared,
    db,
    redis,
    faults,
    outside,
    fulfilment,
    stores,
    liveViews: cache.stored,
    depsOf,
    consumers: consumersOf(depsOf(simulation.process('nobody'))),
    /** Starts a process, now and after each crash. */
    start(process: Process, role: 'scheduler' | 'worker' | 'api'): void {
      const start = { scheduler: startScheduler, worker: startWorker, api: () => {} }[role];
      starts.set(process, start);
      simulation.later(process, simulation.latency(), () => start(process));
    },
  };
}
