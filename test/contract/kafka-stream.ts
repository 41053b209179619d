/** Streams on a Kafka broker: members with and without a relay, an external producer, and a bus without a database. */
import { randomUUID } from 'node:crypto';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { readConfig } from '../../cmd/config.ts';
import { openKafka } from '../../cmd/kafka-clients.ts';
import { migrateDatabase } from '../../internal/repository/postgres/database.ts';
import { type KafkaBus, type KafkaBusOptions, kafkaBus } from '../../internal/transport/events/kafka-bus.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';
import type { Stream } from './event-bus.ts';
import { keepLines, type LogLine, openMember } from './stream-member.ts';

export function kafkaClient(brokers: string): Kafka {
  return new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
}

export async function openKafkaStream(brokers: string): Promise<Stream> {
  const database = await freshDatabase();
  await migrateDatabase(database.url);
  const topicPrefix = `${randomUUID().slice(0, 8)}.`;
  const address = { databaseUrl: database.url, kafka: { brokers, topicPrefix } };
  const members = [openMember(address, { relays: true }), openMember(address, { relays: false })] as const;
  const outsider = kafkaClient(brokers).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  for (const { bus } of members) await until('the topics are made', () => bus.fault() === undefined);
  return {
    address,
    members,
    async inject({ key, value, headers }) {
      await outsider.connect();
      const message = { key, value, ...(headers ? { headers } : {}) };
      await outsider.send({ topic: `${topicPrefix}raw.order-events`, messages: [message] });
    },
    async close() {
      await Promise.all([...members.map((member) => member.close()), outsider.disconnect()]);
      await database.drop();
    },
  };
}

/** As `lonelyBus`, opened as the program opens it. */
export function busBySettings(at: string, settings: Readonly<Record<string, string>>) {
  const lines: LogLine[] = [];
  const topicPrefix = `${randomUUID().slice(0, 8)}.`;
  const config = readConfig({ KAFKA_BROKERS: at, KAFKA_PREFIX: topicPrefix, ...settings });
  const meter = { count() {}, observe() {} };
  const bus = openKafka(config, { log: keepLines(lines), meter }, 'lonely') as KafkaBus;
  return { bus, lines, topicPrefix };
}

/** A bus with topics of its own and no database. */
export function lonelyBus(
  at: string,
  topicPrefix = `${randomUUID().slice(0, 8)}.`,
  options: Partial<KafkaBusOptions> = {},
) {
  const lines: LogLine[] = [];
  const bus = kafkaBus({
    brokers: [at],
    clientId: 'lonely',
    log: keepLines(lines),
    topicPrefix,
    partitions: 1,
    ...options,
  });
  return { bus, lines, topicPrefix };
}
