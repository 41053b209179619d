/** The event bus on Kafka: publishes each event to the topics of its type; each subscription is a consumer group. */
import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '../../domain/retry.ts';
import { ALL_TOPICS } from '../../domain/topics.ts';
import type { Log, Meter } from '../../service/ports.ts';
import type { EventBus, OutgoingRecord, RecordSink, Subscription } from '../../service/stream/ports.ts';
import { eventRecords } from '../../service/stream/relay-events.ts';
import { type Compression, compressionType, registerCodecs } from './kafka-codecs.ts';
import { type KafkaConnection, type KafkaSettings, openKafka } from './kafka-connection.ts';
import { type KafkaConsumer, kafkaConsumer } from './kafka-consumer.ts';
import { asUnavailable } from './kafka-faults.ts';
import { kafkaLag } from './kafka-lag.ts';
import { kafkaLog } from './kafka-log.ts';
import { kafkaProbe } from './kafka-probe.ts';
import { kafkaProducer } from './kafka-producer.ts';
import { endFetchersOfStoppedConsumers } from './kafka-runner.ts';
import { kafkaSession } from './kafka-session.ts';
import { kafkaTopics, type TopicOptions } from './kafka-topics.ts';

const BACKOFF = { firstMs: 50, longestMs: 1_000 };

export interface KafkaBusOptions extends KafkaSettings, TopicOptions {
  readonly log: Log;
  readonly meter?: Meter;
  /** Prefix of every topic and group at the broker, so that several installations can share one broker. */
  readonly topicPrefix?: string;
  /** Topics that are neither created nor published to. */
  readonly disabledTopics?: ReadonlySet<string>;
  /** How records are compressed when they are produced; by default not at all. */
  readonly compression?: Compression;
  /** Time until a dead member's partitions are assigned to other members; 6,000 if the brokers permit no shorter one. */
  readonly sessionTimeoutMs?: number;
  /** Time after which partitions that were added to a topic are read and written. */
  readonly metadataMs?: number;
}

export interface KafkaBus extends EventBus, RecordSink {
  /** Records that each consumer of this process, and its like in others, have not passed yet. */
  lags(): Promise<ReadonlyMap<string, number>>;
}

export function kafkaBus(options: KafkaBusOptions): KafkaBus {
  const {
    log,
    meter,
    topicPrefix = '',
    disabledTopics = new Set<string>(),
    compression = 'none',
    sessionTimeoutMs = 3_000,
    metadataMs = 30_000,
  } = options;
  registerCodecs();
  endFetchersOfStoppedConsumers();
  const lines = kafkaLog(log);
  const session = kafkaSession(sessionTimeoutMs, log);
  const connections = new Set<KafkaConnection>();
  const open = (requestLimitMs?: number) => {
    const connection = openKafka(options, lines, () => connections.delete(connection), requestLimitMs);
    connections.add(connection);
    return connection;
  };
  const topics = kafkaTopics(open, options);
  const ownTopics = ALL_TOPICS.filter((topic) => !disabledTopics.has(topic)).map(
    (topic) => topicPrefix + topic,
  );
  const ensureOwnTopics = () => topics.ensure(ownTopics);
  const probe = kafkaProbe(open, () => producer.replace());
  const producer = kafkaProducer(open, probe.answers, ensureOwnTopics, {
    compression: compressionType(compression),
    metadataMs,
    maxRecordBytes: options.maxRecordBytes,
  });
  const lag = kafkaLag(open, topicPrefix);
  const consumers = new Set<KafkaConsumer>();
  const closing = new AbortController();
  let unprepared: string | undefined = 'Kafka: the topics are not created yet';

  async function prepare(): Promise<void> {
    for (let failures = 1; !closing.signal.aborted; failures++) {
      try {
        await ensureOwnTopics();
        unprepared = undefined;
        return;
      } catch (error) {
        const fault = asUnavailable(error);
        unprepared = fault.message;
        lines.fault(fault, 'Kafka cannot be used; this is retried');
        await pause(backoffMs(failures, BACKOFF), undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  }
  const prepared = prepare();

  function send(records: readonly OutgoingRecord[]): Promise<void> {
    if (topicPrefix === '') return producer.send(records);
    return producer.send(records.map((record) => ({ ...record, topic: topicPrefix + record.topic })));
  }

  return {
    publish: (events) => send(events.flatMap((event) => eventRecords(event, disabledTopics))),
    send,
    async subscribe(subscription: Subscription) {
      const ensureTopics = (subscribed: readonly string[]) => topics.ensure([...ownTopics, ...subscribed]);
      const consumer = kafkaConsumer(
        {
          open,
          answers: probe.answers,
          ensureTopics,
          topicPrefix,
          session,
          metadataMs,
          log,
          kafkaLog: lines,
          meter,
        },
        subscription,
      );
      consumers.add(consumer);
      return async () => {
        await consumer.stop();
        consumers.delete(consumer);
      };
    },
    fault() {
      if (probe.fault()) return probe.fault();
      for (const { subscription, fault } of consumers)
        if (fault()) return `${subscription.group}: ${fault()}`;
      return unprepared ?? producer.fault();
    },
    faults: () => new Map([...consumers].map(({ subscription, fault }) => [subscription.group, fault()])),
    lags: () => lag.measure([...consumers].map(({ subscription }) => subscription)),
    async close() {
      closing.abort();
      await Promise.all([
        ...[...consumers].map((consumer) => consumer.stop()),
        producer.close(),
        probe.stop(),
      ]);
      for (const connection of connections) connection.sever();
      await prepared;
    },
  };
}
