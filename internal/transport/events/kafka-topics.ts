/** Creates the missing topics, once per process, as soon as a broker is reachable. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import type { KafkaConnection } from './kafka-connection.ts';
import { asUnavailable, within } from './kafka-faults.ts';

const LIMIT_MS = 8_000;
const SERVED_POLL_MS = 30;
/** The broker's own default. */
const BY_DEFAULT = -1;
/** Room in a topic's limit for a batch beside its record. */
const BATCH_OVERHEAD_BYTES = 10_000;

export interface TopicOptions {
  /** False where somebody else creates the topics; they must exist then. */
  readonly create?: boolean;
  readonly partitions?: number;
  /** By default the broker decides on these two. */
  readonly replicationFactor?: number | undefined;
  readonly minInsyncReplicas?: number | undefined;
  /** Largest record; also of the topics that are created. */
  readonly maxRecordBytes?: number;
}

export interface KafkaTopics {
  /** Resolves once the topics exist; rejects with UNAVAILABLE while they cannot be created. */
  ensure(topics: readonly string[]): Promise<void>;
}

export function kafkaTopics(
  open: (requestLimitMs: number) => KafkaConnection,
  options: TopicOptions,
): KafkaTopics {
  const { create = true, partitions = 6, replicationFactor = BY_DEFAULT } = options;
  const configEntries = configOf(options);
  const required = new Set<string>();
  const existing = new Set<string>();
  let underWay: Promise<void> | undefined;

  async function createMissing(): Promise<void> {
    const connection = open(LIMIT_MS);
    const admin = connection.kafka.admin();
    try {
      await within(LIMIT_MS, admin.connect());
      for (const topic of await within(LIMIT_MS, admin.listTopics())) existing.add(topic);
      const missing = [...required].filter((topic) => !existing.has(topic));
      if (missing.length === 0) return;
      if (!create)
        throw new Error(`KAFKA_CREATE_TOPICS is no, and these topics are missing: ${missing.join(', ')}`);
      const topics = missing.map((topic) => ({
        topic,
        numPartitions: partitions,
        replicationFactor,
        configEntries,
      }));
      // Resolves to false if another process has created them all meanwhile.
      await within(LIMIT_MS, admin.createTopics({ topics, waitForLeaders: false, timeout: LIMIT_MS }));
      await within(LIMIT_MS, untilServed(admin, missing, connection.isSevered));
      for (const topic of missing) existing.add(topic);
    } catch (error) {
      throw asUnavailable(error);
    } finally {
      await within(1_000, admin.disconnect()).catch(() => {});
      connection.sever();
    }
  }

  return {
    async ensure(topics) {
      for (const topic of topics) required.add(topic);
      while (topics.some((topic) => !existing.has(topic))) {
        underWay ??= createMissing().finally(() => {
          underWay = undefined;
        });
        await underWay;
      }
    },
  };
}

function configOf({ minInsyncReplicas, maxRecordBytes }: TopicOptions): { name: string; value: string }[] {
  return [
    ...(minInsyncReplicas ? [{ name: 'min.insync.replicas', value: String(minInsyncReplicas) }] : []),
    ...(maxRecordBytes
      ? [{ name: 'max.message.bytes', value: String(maxRecordBytes + BATCH_OVERHEAD_BYTES) }]
      : []),
  ];
}

/** Waits until the broker knows the topics: it confirms their creation earlier, and kafkajs waits only for leaders. */
async function untilServed(admin: Admin, topics: string[], isSevered: () => boolean): Promise<void> {
  while (!isSevered()) {
    const served = await admin.fetchTopicMetadata({ topics }).then(
      () => true,
      () => false,
    );
    if (served) return;
    await pause(SERVED_POLL_MS);
  }
}
