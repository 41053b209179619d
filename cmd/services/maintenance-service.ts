/** maintenance-service prunes rows past their retention, erases customers, maintains the history's partitions, and measures consumer lag. */
import { startLoop } from '../../internal/service/loop.ts';
import { eraser } from '../../internal/service/maintenance/erase-customer.ts';
import { type PruneOptions, pruner } from '../../internal/service/maintenance/prune.ts';
import { RELAY } from '../../internal/service/stream/refused-records.ts';
import { erasureRoutes } from '../../internal/transport/http/routes/maintenance/erasure-routes.ts';
import type { Config } from '../config.ts';
import type { Service, Wiring } from '../wire.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export function maintenanceService(wiring: Wiring): Service {
  const { historyPartitions, kafka, clock, config, log } = wiring;
  return {
    name: 'maintenance-service',
    needs: ['postgres'],
    routes: erasureRoutes(wiring),
    gauges: [
      {
        name: 'consumer_delay_seconds',
        help: 'Age of the oldest event in the event log that a consumer has not passed',
        label: 'consumer',
        read: wiring.consumerDelays,
      },
      {
        name: 'open_dead_letters',
        help: 'Dead letters of a consumer that were neither replayed nor discarded yet',
        label: 'consumer',
        read: wiring.openLetters,
      },
      {
        name: 'open_transaction_seconds',
        help: 'Age of the open transactions that hold back the events appended after them',
        label: 'holder',
        read: wiring.openTransactions,
      },
    ],
    loops() {
      const prune = pruner(wiring, {
        keepMs: keepMs(config),
        readsLog: (consumer) => (consumer === RELAY) === (kafka !== undefined),
      });
      const partition = async () => {
        await historyPartitions.maintain(clock.now(), clock.now() - config.HISTORY_DAYS * DAY_MS);
        return HOUR_MS;
      };
      return [
        startLoop('prune', prune, log),
        startLoop('erase', eraser(wiring), log),
        startLoop('history partitions', partition, log),
      ];
    },
  };
}

/** Nothing is kept for less than the events: one that comes again must find what it refers to. 0 days keep for ever. */
function keepMs(config: Config): PruneOptions['keepMs'] {
  const events = config.RETENTION_HOURS * HOUR_MS;
  const days = (count: number) => Math.max(count * DAY_MS, events);
  return {
    events,
    marks: events,
    keys: events,
    ...(config.DEAD_LETTER_DAYS > 0 ? { letters: days(config.DEAD_LETTER_DAYS) } : {}),
    ...(config.MESSAGE_DAYS > 0 ? { messages: days(config.MESSAGE_DAYS) } : {}),
    ...(config.ORDER_DAYS > 0 ? { orders: days(config.ORDER_DAYS) } : {}),
    ...(config.PAYMENT_DAYS > 0 && config.ORDER_DAYS > 0 ? { payments: days(config.PAYMENT_DAYS) } : {}),
  };
}
