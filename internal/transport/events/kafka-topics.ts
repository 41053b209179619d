/** Makes the topics that are missing, once per process, and as soon as a broker can be reached. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import { asUnavailable, type KafkaConnection, within } from './kafka-connection.ts';

const LIMIT_MS = 8_000;
const SERVED_POLL_MS = 30;
/** The broker's own default. */
const REPLICAS = -1;

export interface KafkaTopics {
  /** Resolves once the topics exist; rejects with UNAVAILABLE while they cannot be made. */
  ensure(topics: readonly string[]): Promise<void>;
}

export function kafkaTopics(open: () => KafkaConnection, partitions: number): KafkaTopics {
  const wanted = new Set<string>();
  const existing = new Set<string>();
  let underWay: Promise<void> | undefined;

  async function makeMissing(): Promise<void> {
    const connection = open();
    const admin = connection.kafka.admin();
    try {
      await within(LIMIT_MS, admin.connect());
      for (const topic of await within(LIMIT_MS, admin.listTopics())) existing.add(topic);
      const missing = [...wanted].filter((topic) => !existing.has(topic));
      if (missing.length === 0) return;
      const topics = missing.map((topic) => ({
        topic,
        numPartitions: partitions,
        replicationFactor: REPLICAS,
      }));
      // False where all of them exist by now: another process was first.
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
      for (const topic of topics) wanted.add(topic);
      while (topics.some((topic) => !existing.has(topic))) {
        underWay ??= makeMissing().finally(() => {
          underWay = undefined;
        });
        await underWay;
      }
    },
  };
}

/** A topic is made before its broker knows of it; kafkajs itself waits for leaders alone. */
async function untilServed(admin: Admin, topics: string[], givenUp: () => boolean): Promise<void> {
  while (!givenUp()) {
    const served = await admin.fetchTopicMetadata({ topics }).then(
      () => true,
      () => false,
    );
    if (served) return;
    await pause(SERVED_POLL_MS);
  }
}
