/** scheduler-worker holds waiting orders and timers in the due queue, and publishes each one when it is due. */
import { type Loop, startLoop } from '../../internal/service/loop.ts';
import { dispatcher } from '../../internal/service/scheduling/dispatch-due.ts';
import { reconciler } from '../../internal/service/scheduling/reconcile-queue.ts';
import { scheduleConsumer } from '../../internal/service/scheduling/schedule-orders.ts';
import { schedulerRoutes } from '../../internal/transport/http/routes/scheduling/scheduler-routes.ts';
import type { Service, Wiring } from '../wire.ts';

/** How often the memory of Redis is looked at, whether anyone reads the metrics or not. */
const MEMORY_EVERY_MS = 10_000;

export function schedulerWorker(wiring: Wiring): Service {
  const { queue, log, schedulerSwitch, config, redisMemory } = wiring;
  let dispatchLoop: Loop | undefined;
  let reconcileLoop: Loop | undefined;
  const reconciling = reconciler({ ...wiring, onAdded: () => dispatchLoop?.wake() });
  const dispatching = dispatcher(
    {
      ...wiring,
      wake: () => dispatchLoop?.wake(),
      onLost: () => {
        if (reconciling.lost()) reconcileLoop?.wake();
      },
    },
    { intervalMs: config.DISPATCH_INTERVAL_MS },
  );
  return {
    name: 'scheduler-worker',
    needs: ['postgres', 'redis', 'stream'],
    routes: schedulerRoutes({ queue, report: dispatching.report, schedulerSwitch }),
    consumers: [
      scheduleConsumer({
        queue,
        deadlines: wiring.deadlines,
        onScheduled: (earliest) => dispatching.scheduled(earliest),
      }),
    ],
    gauges: [
      {
        name: 'due_queue_orders',
        help: 'Orders in the due queue: all that are waiting, and those of them that are due',
        label: 'which',
        read: async () => new Map(Object.entries(await queue.size())),
      },
      {
        name: 'redis_memory_bytes',
        help: 'Memory of the Redis that holds the schedule: what is used, and the limit if there is one',
        label: 'which',
        async read() {
          const memory = await redisMemory.read();
          if (!memory) return new Map();
          const { usedBytes, limitBytes } = memory;
          return new Map([['used', usedBytes], ...(limitBytes > 0 ? [['limit', limitBytes] as const] : [])]);
        },
      },
    ],
    loops() {
      dispatchLoop = startLoop('dispatch', () => dispatching.runOnce(), log);
      reconcileLoop = startLoop('reconcile', () => reconciling.runOnce(), log);
      const watchLoop = startLoop(
        'redis-memory',
        async () => {
          await redisMemory.read();
          return MEMORY_EVERY_MS;
        },
        log,
      );
      return [dispatchLoop, reconcileLoop, watchLoop];
    },
    fault: () => dispatchLoop?.fault(),
    drain: () => dispatching.drain(),
  };
}
