/** The console on Kafka. */
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import type { KafkaAccess } from '../../internal/transport/events/kafka-access.ts';
import { registerCodecs } from '../../internal/transport/events/kafka-codecs.ts';
import type { TopicConsole } from './console.ts';

const POLL_MS = 200;

/** Topics are named without the prefix of the installation. */
export function kafkaConsole(
  brokers: readonly string[],
  access: KafkaAccess,
  prefix = '',
): TopicConsole & { list(): Promise<readonly string[]> } {
  registerCodecs();
  const kafka = new Kafka({
    clientId: 'tiffin-topic',
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    ...access(),
  });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  let connected: Promise<void> | undefined;
  return {
    async list() {
      const admin = kafka.admin();
      await admin.connect();
      const topics = await admin.listTopics();
      await admin.disconnect();
      return topics
        .filter((topic) => topic.startsWith(prefix) && !topic.startsWith('__'))
        .map((topic) => topic.slice(prefix.length))
        .sort();
    },
    async consume(topic, fromBeginning, take) {
      const groupId = `${prefix}tiffin-topic-${process.pid}-${Date.now()}`;
      const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: POLL_MS });
      await consumer.connect();
      await consumer.subscribe({ topics: [prefix + topic], fromBeginning });
      await new Promise<void>((resolve, reject) => {
        let wanted = true;
        consumer.on('consumer.crash', ({ payload }) => !payload.restart && reject(payload.error));
        const eachMessage = async ({ message }: { message: { value: Buffer | null } }) => {
          wanted &&= take(message.value?.toString() ?? 'null');
          if (!wanted) resolve();
        };
        consumer.run({ eachMessage }).catch(reject);
      });
      await consumer.disconnect();
      const admin = kafka.admin();
      await admin.connect();
      await admin.deleteGroups([groupId]).catch(() => {});
      await admin.disconnect();
    },
    async produce(topic, key, value) {
      connected ??= producer.connect();
      await connected;
      await producer.send({ topic: prefix + topic, messages: [{ key: key || null, value }] });
    },
    close: () => producer.disconnect(),
  };
}
