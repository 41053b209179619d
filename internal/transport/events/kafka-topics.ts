/** Creates the missing topics, once per process, as soon as a broker is reachable. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import type { KafkaConnection } from './kafka-connection.ts';
import { asUnavailable, within } from './kafka-faults.ts';

const LIMIT_MS = 8_000;
const SERVED_POLL_MS = 30;
/** The broker's own default. */
const REPLICAS = -1;

export interface KafkaTopics {
  /** Resolves once the topics exist; rejects with UNAVAILABLE while they cannot be created. */
  ensure(topics: readonly string[]): Promise<void>;
}

export function kafkaTopics(open: () => KafkaConnection, partitions: number): KafkaTopics {
  const required = new Set<string>();
  const existing = new Set<string>();
  let underWay: Promise<void> | undefined;

  async function createMissing(): Promise<void> {
    const connection = open();
    const admin = connection.kafka.admin();
    try {
      await within(LIMIT_MS, admin.connect());
      for (const topic of await within(LIMIT_MS, admin.listTopics())) existing.add(topic);
      const missing = [...required].filter((topic) => !existing.has(topic));
      if (missing.length === 0) return;
      const topics = missing.map((topic) => ({
        topic,
        numPartitions: partitions,
        replicationFactor: REPLICAS,
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
