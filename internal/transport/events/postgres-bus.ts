/** The event bus on Postgres: each consumer reads the event log from its own cursor. */
import { startLoop } from '../../service/loop.ts';
import type { EventBus, Subscription } from '../../service/stream/ports.ts';
import { type ReadLogDeps, readLog } from '../../service/stream/read-log.ts';

export function postgresBus(deps: ReadLogDeps): EventBus {
  const stops = new Set<() => Promise<void>>();
  const groups = new Set<string>();
  const faults = new Map<string, string>();

  async function subscribe(subscription: Subscription): Promise<() => Promise<void>> {
    groups.add(subscription.group);
    const loop = startLoop(`reader ${subscription.group}`, readLog(deps, subscription, faults), deps.log);
    const stopListening = deps.eventLog.onAppend(() => loop.wake());
    const stop = async () => {
      stops.delete(stop);
      groups.delete(subscription.group);
      stopListening();
      await loop.stop();
      await deps.eventLog.resign(subscription.group).catch(() => {});
    };
    stops.add(stop);
    return stop;
  }

  return {
    publish: (events) => deps.eventLog.append(events),
    subscribe,
    fault() {
      const [first] = faults;
      return first && `${first[0]}: ${first[1]}`;
    },
    faults: () => new Map([...groups].map((group) => [group, faults.get(group)])),
    async close() {
      await Promise.all([...stops].map((stop) => stop()));
    },
  };
}
