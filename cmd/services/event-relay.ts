/** event-relay publishes the event log to Kafka, if Kafka is configured. */
import { startLoop } from '../../internal/service/loop.ts';
import { relayEvents } from '../../internal/service/stream/relay-events.ts';
import type { Service, Wiring } from '../wire.ts';

export function eventRelay(wiring: Wiring): Service {
  const { eventLog, kafka, config, log } = wiring;
  return {
    name: 'event-relay',
    needs: kafka ? ['postgres', 'stream'] : ['postgres'],
    loops() {
      if (!kafka) return [];
      const options = { disabledTopics: new Set(config.DISABLED_TOPICS) };
      const relay = startLoop('relay', relayEvents({ ...wiring, sink: kafka }, options), log);
      eventLog.onAppend(() => relay.wake());
      return [relay];
    },
  };
}
