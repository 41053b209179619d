/** event-relay sends the event log on to Kafka, where there is one, and prunes what everyone has read. */
import { startLoop } from '../../internal/service/loop.ts';
import { relayEvents } from '../../internal/service/stream/relay-events.ts';
import type { Service, Wiring } from '../wire.ts';

const HOUR_MS = 3_600_000;
const PRUNE_EVERY_MS = 600_000;

export function eventRelay(wiring: Wiring): Service {
  const { eventLog, kafka, clock, config, log } = wiring;
  return {
    name: 'event-relay',
    needs: kafka ? ['postgres', 'stream'] : ['postgres'],
    gauges: [
      {
        name: 'consumer_delay_seconds',
        help: 'Age of the oldest event in the event log that a consumer has not passed',
        label: 'consumer',
        read: wiring.consumerDelays,
      },
    ],
    loops() {
      const prune = async () => {
        const pruned = await eventLog.prune(clock.now() - config.RETENTION_HOURS * HOUR_MS);
        if (pruned > 0) log.info({ events: pruned }, 'the event log was pruned');
        return PRUNE_EVERY_MS;
      };
      const loops = [startLoop('prune', prune, log)];
      if (kafka) {
        const relay = startLoop(
          'relay',
          relayEvents({ ...wiring, sink: kafka }, { disabledTopics: new Set(config.DISABLED_TOPICS) }),
          log,
        );
        eventLog.onAppend(() => relay.wake());
        loops.push(relay);
      }
      return loops;
    },
  };
}
