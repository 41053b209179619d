/** The process's metrics in Prometheus's text format. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Counter as CounterName, Duration, Meter } from '../../service/ports.ts';

const COUNTERS: Record<CounterName, { help: string; labels: string[] }> = {
  orders_placed: { help: 'Orders stored', labels: [] },
  events_consumed: {
    help: 'Events delivered to a consumer, redelivered ones included',
    labels: ['consumer'],
  },
  dead_letters: { help: 'Events that became dead letters', labels: ['consumer'] },
  deadlines_expired: { help: 'Orders that failed or were rejected because a deadline passed', labels: [] },
  orders_dispatched: { help: 'Orders sent to order.ready', labels: [] },
  orders_redelivered: { help: 'Orders claimed again after a lease ran out', labels: [] },
  timers_dispatched: { help: 'Timers that ran out and were published', labels: [] },
  orders_rebuilt: { help: 'Orders that were missing from the due queue and were added', labels: [] },
  events_relayed: { help: 'Events sent to Kafka', labels: [] },
  consumer_rejoins: {
    help: 'How often a consumer joined its group on Kafka again',
    labels: ['consumer'],
  },
};

const DURATIONS: Record<Duration, { help: string; labels: string[]; buckets: number[] }> = {
  dispatch_lateness: {
    help: 'Seconds from the time an order was due until the stream confirmed its event',
    labels: [],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 60],
  },
  batch_duration: {
    help: 'Seconds a consumer took to handle a batch',
    labels: ['consumer'],
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5],
  },
};

/** A gauge that is read at each scrape: one value per label. An unavailable source is left out. */
export interface GaugeSource {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  readonly read: () => Promise<ReadonlyMap<string, number>>;
}

export function prometheus(): { registry: Registry; meter: Meter; gauge(source: GaugeSource): void } {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counters = mapValues(
    COUNTERS,
    ({ help, labels }, name) =>
      new Counter({ name: `tiffin_${name}_total`, help, labelNames: labels, registers }),
  );
  const durations = mapValues(
    DURATIONS,
    ({ help, labels, buckets }, name) =>
      new Histogram({ name: `tiffin_${name}_seconds`, help, labelNames: labels, buckets, registers }),
  );
  return {
    registry,
    meter: {
      count: (name, by, labels = {}) => counters[name].inc(labels, by),
      observe: (name, seconds, labels = {}) => durations[name].observe(labels, seconds),
    },
    gauge({ name, help, label, read }) {
      new Gauge({
        name: `tiffin_${name}`,
        help,
        labelNames: [label],
        registers,
        async collect() {
          this.reset();
          for (const [value, figure] of await read().catch(() => new Map<string, number>()))
            this.set({ [label]: value }, figure);
        },
      });
    },
  };
}

function mapValues<K extends string, V, R>(record: Record<K, V>, map: (value: V, key: K) => R): Record<K, R> {
  return Object.fromEntries(
    (Object.entries(record) as [K, V][]).map(([key, value]) => [key, map(value, key)]),
  ) as Record<K, R>;
}
