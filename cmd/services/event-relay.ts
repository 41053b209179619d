/** event-relay publishes the event log to Kafka, if Kafka is configured. */
import { startLoop } from '../../internal/service/loop.ts';
import { resendRefused } from '../../internal/service/stream/refused-records.ts';
import { relayEvents } from '../../internal/service/stream/relay-events.ts';
import type { Service, Wiring } from '../wire.ts';

const RESEND_EVERY_MS = 2_000;

export function eventRelay(wiring: Wiring): Service {
  const { eventLog, kafka, config, log } = wiring;
  return {
    name: 'event-relay',
    needs: kafka ? ['postgres', 'stream'] : ['postgres'],
    loops() {
      if (!kafka) return [];
      const deps = { ...wiring, sink: kafka };
      const options = { disabledTopics: new Set(config.DISABLED_TOPICS) };
      const relay = startLoop('relay', relayEvents(deps, options), log);
      eventLog.onAppend(() => relay.wake());
      const resend = async () => ((await resendRefused(deps)) > 0 ? 0 : RESEND_EVERY_MS);
      return [relay, startLoop('replay event-relay', resend, log)];
    },
  };
}
