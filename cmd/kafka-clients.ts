/** Opens the stream on Kafka from the configuration, and names the figures of the consumers. */
import type { Log, Meter } from '../internal/service/ports.ts';
import type { EventBus } from '../internal/service/stream/ports.ts';
import { type KafkaBus, kafkaBus } from '../internal/transport/events/kafka-bus.ts';
import type { GaugeSource } from '../internal/transport/telemetry/metrics.ts';
import { kafkaAccessOf } from './config/kafka-access.ts';
import type { Config } from './config.ts';

/** Undefined where no brokers are configured; the stream is then in Postgres. */
export function openKafka(
  config: Config,
  { log, meter }: { log: Log; meter: Meter },
  clientId: string,
): KafkaBus | undefined {
  if (!config.KAFKA_BROKERS) return undefined;
  return kafkaBus({
    brokers: config.KAFKA_BROKERS,
    clientId,
    access: kafkaAccessOf(config),
    compression: config.KAFKA_COMPRESSION,
    topicPrefix: config.KAFKA_PREFIX,
    create: config.KAFKA_CREATE_TOPICS === 'yes',
    partitions: config.KAFKA_PARTITIONS,
    replicationFactor: config.KAFKA_REPLICATION_FACTOR,
    minInsyncReplicas: config.KAFKA_MIN_INSYNC_REPLICAS,
    ...(config.KAFKA_MAX_RECORD_BYTES && { maxRecordBytes: config.KAFKA_MAX_RECORD_BYTES }),
    sessionTimeoutMs: config.KAFKA_SESSION_TIMEOUT_MS,
    disabledTopics: new Set(config.DISABLED_TOPICS),
    log,
    meter,
  });
}

/** Figures of the consumers in this process. */
export function consumerGauges(bus: EventBus, kafka: KafkaBus | undefined): GaugeSource[] {
  const down: GaugeSource = {
    name: 'consumer_down',
    help: '1 while a consumer handles nothing because of a fault, else 0',
    label: 'consumer',
    read: async () => new Map([...bus.faults()].map(([consumer, fault]) => [consumer, fault ? 1 : 0])),
  };
  const lag: GaugeSource = {
    name: 'consumer_lag_records',
    help: 'Records on Kafka that a consumer group has not passed yet, whichever process reads them; none without Kafka',
    label: 'consumer',
    read: async () => kafka?.lags() ?? new Map(),
  };
  return [down, lag];
}
