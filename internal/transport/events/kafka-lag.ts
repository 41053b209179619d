/** Measures how many records each consumer group has not passed yet, on one connection that is replaced after a failure. */
import type { Admin } from 'kafkajs';
import type { Subscription } from '../../service/stream/ports.ts';
import type { KafkaConnection } from './kafka-connection.ts';
import { within } from './kafka-faults.ts';

const LIMIT_MS = 2_000;

export interface KafkaLag {
  /** Group to records, over all members of the group; rejects if the brokers do not answer within 2 s. */
  measure(subscriptions: readonly Subscription[]): Promise<ReadonlyMap<string, number>>;
}

/** First and next offset of a partition. */
type Ends = ReadonlyMap<number, { readonly low: number; readonly high: number }>;

export function kafkaLag(open: () => KafkaConnection, topicPrefix: string): KafkaLag {
  let live: { connection: KafkaConnection; admin: Admin; connected: Promise<void> } | undefined;
  let underWay: Promise<ReadonlyMap<string, number>> | undefined;

  async function connected(): Promise<Admin> {
    if (!live) {
      const connection = open();
      const admin = connection.kafka.admin();
      live = { connection, admin, connected: admin.connect() };
    }
    const { admin } = live;
    await live.connected;
    return admin;
  }

  async function ask(subscriptions: readonly Subscription[]): Promise<ReadonlyMap<string, number>> {
    const admin = await connected();
    const names = [...new Set(subscriptions.flatMap(({ topics }) => topics))];
    const ends = new Map(
      await Promise.all(
        names.map(async (topic) => [topic, await endsOf(admin, topicPrefix + topic)] as const),
      ),
    );
    const lags = subscriptions.map(async ({ group, topics }) => {
      const committed = await admin.fetchOffsets({
        groupId: topicPrefix + group,
        topics: topics.map((topic) => topicPrefix + topic),
      });
      let lag = 0;
      for (const { topic, partitions } of committed)
        for (const { partition, offset } of partitions) {
          const end = ends.get(topic.slice(topicPrefix.length))?.get(partition);
          // A group that has committed nothing begins at the first record.
          if (end) lag += Math.max(0, end.high - Math.max(Number(offset), end.low));
        }
      return [group, lag] as const;
    });
    return new Map(await Promise.all(lags));
  }

  return {
    measure(subscriptions) {
      underWay ??= within(LIMIT_MS, ask(subscriptions))
        .catch((error) => {
          live?.connection.sever();
          live = undefined;
          throw error;
        })
        .finally(() => {
          underWay = undefined;
        });
      return underWay;
    },
  };
}

async function endsOf(admin: Admin, topic: string): Promise<Ends> {
  const partitions = await admin.fetchTopicOffsets(topic);
  return new Map(
    partitions.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]),
  );
}
