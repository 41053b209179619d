/** Opens the stream on Kafka from the configuration. */
import type { Log } from '../internal/service/ports.ts';
import { kafkaBus } from '../internal/transport/events/kafka-bus.ts';
import { kafkaAccessOf } from './config/kafka-access.ts';
import type { Config } from './config.ts';

/** Undefined where no brokers are configured; the stream is then in Postgres. */
export function openKafka(config: Config, log: Log, clientId: string) {
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
  });
}
