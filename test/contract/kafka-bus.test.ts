/** The stream on Kafka: the contract on a real broker, and what happens when the broker or kafkajs gives up. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { AssignerProtocol } from 'kafkajs';
import { TiffinError } from '../../internal/domain/errors.ts';
import { toRecord } from '../../internal/domain/records.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import type { Delivery } from '../../internal/service/stream/ports.ts';
import { kafkaForTests } from '../support/kafka.ts';
import { until } from '../support/until.ts';
import { eventBusContract } from './event-bus.ts';
import { kafkaClient as client, lonelyBus, openKafkaStream as open } from './kafka-stream.ts';
import { countingConsumer, effectsOf, processing } from './stream-member.ts';

const shared = await kafkaForTests();
const skip = 'skip' in shared ? shared.skip : false;

eventBusContract('Kafka', {
  open: () => open('brokers' in shared ? shared.brokers : ''),
  skip,
  // One for each partition that is read at once.
  batchesInHand: 3,
});

describe('the Kafka bus', { skip }, () => {
  const brokers = 'brokers' in shared ? shared.brokers : '';

  test('starts a consumer again that kafkajs gave up', { timeout: 180_000 }, async () => {
    const { bus, lines, topicPrefix } = lonelyBus(brokers);
    const group = randomUUID();
    const topic = `${topicPrefix}raw.order-events`;
    // A member with another protocol is in the group already: kafkajs takes the refusal for final.
    const stranger = client(brokers).consumer({
      groupId: group,
      maxWaitTimeInMs: 100,
      partitionAssigners: [strangeAssigner(topic)],
    });
    try {
      await bus.publish([processing('kept', 1)]);
      const joined = new Promise<void>((resolve) => {
        stranger.on(stranger.events.GROUP_JOIN, () => resolve());
      });
      await stranger.connect();
      await stranger.subscribe({ topics: [topic], fromBeginning: true });
      await stranger.run({ autoCommit: false, eachBatch: async () => {} });
      await joined;

      const heard: Delivery[] = [];
      await bus.subscribe({
        group,
        topics: ['raw.order-events'],
        types: ['order.processing'],
        handle: async ({ deliveries }) => {
          heard.push(...deliveries);
        },
      });
      await until('the consumer is down', () => /protocol/i.test(bus.fault() ?? ''));
      assert.equal(
        lines.filter((line) => line.message === 'the consumer is down and is restarted').length,
        1,
      );
      await stranger.disconnect();
      await until('it reads', () => heard.length > 0);
      await until('it is well', () => bus.fault() === undefined);
      assert.deepEqual(
        lines.filter((line) => line.level === 'error'),
        [],
      );
    } finally {
      await Promise.all([bus.close(), stranger.disconnect()]);
    }
  });

  test('puts every event of an order on one partition of each of its topics, with its headers', {
    timeout: 180_000,
  }, async () => {
    const { bus, topicPrefix } = lonelyBus(brokers);
    const reader = client(brokers).consumer({ groupId: randomUUID(), maxWaitTimeInMs: 100 });
    try {
      const event = processing('whole', 1);
      await bus.publish([event]);
      const topics = ['raw.order-events', 'order_events', 'order_status_updates'].map(
        (topic) => topicPrefix + topic,
      );
      const seen: {
        topic: string;
        key: string;
        value: Record<string, unknown>;
        headers: Record<string, string>;
      }[] = [];
      await reader.connect();
      await reader.subscribe({ topics, fromBeginning: true });
      await reader.run({
        eachMessage: async ({ topic, message }) => {
          seen.push({
            topic,
            key: String(message.key),
            value: JSON.parse(String(message.value)),
            headers: Object.fromEntries(
              Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
            ),
          });
        },
      });
      await until('it is on all topics', () => seen.length === topics.length);
      const headers = {
        eventType: 'order.processing',
        eventId: event.eventId,
        'content-type': 'application/json',
      };
      assert.deepEqual(
        seen.sort((a, b) => a.topic.localeCompare(b.topic)),
        topics
          .sort((a, b) => a.localeCompare(b))
          .map((topic) => ({
            topic,
            key: 'whole',
            // Each topic has flat fields of its own.
            value: toRecord(event, topic.slice(topicPrefix.length)),
            headers,
          })),
      );
    } finally {
      await Promise.all([bus.close(), reader.disconnect()]);
    }
  });

  test('sends more than one request holds, in order, and refuses a record that no broker takes', {
    timeout: 180_000,
  }, async () => {
    const { bus } = lonelyBus(brokers);
    try {
      const wide = (version: number, bytes: number) => ({
        topic: 'order.ready',
        key: 'wide',
        value: { version, padding: 'x'.repeat(bytes) },
        headers: {},
      });
      const versions: unknown[] = [];
      await bus.subscribe({
        group: randomUUID(),
        topics: ['order.ready'],
        types: [],
        handle: async ({ deliveries }) => {
          versions.push(...deliveries.map(({ record }) => (record as { version: number }).version));
        },
      });
      const [sent, refused] = await Promise.allSettled([
        bus.send(Array.from({ length: 30 }, (_, index) => wide(index, 100_000))),
        bus.send([wide(99, 1_100_000)]),
      ]);
      assert.equal(sent.status, 'fulfilled');
      assert.ok(
        refused.status === 'rejected' &&
          refused.reason instanceof TiffinError &&
          refused.reason.code === 'INVALID_INPUT',
      );
      await until('all arrived', () => versions.length >= 30);
      assert.deepEqual(
        versions,
        Array.from({ length: 30 }, (_, index) => index),
      );
    } finally {
      await bus.close();
    }
  });

  test('is not held up by a record that cannot even be stored as a dead letter', {
    timeout: 180_000,
  }, async () => {
    const stream = await open(brokers);
    try {
      const [{ bus, deps, pool }] = stream.members;
      const group = randomUUID();
      await bus.subscribe(subscriptionOf(deps, countingConsumer(group)));
      await stream.inject({ key: 'deep', value: '['.repeat(100_000) + ']'.repeat(100_000) });
      const neighbours = Array.from({ length: 20 }, (_, index) => processing(`neighbour-${index}`, 1));
      await bus.publish(neighbours);
      await until(
        'its neighbours took effect',
        async () => (await effectsOf(pool, group)).length === neighbours.length,
      );
      const [letter] = await deps.deadLetters.list({ limit: 10 });
      assert.equal(letter?.record, 'this record could not be stored');
    } finally {
      await stream.close();
    }
  });

  test('is not held up by a logged record that is larger than a broker takes', {
    timeout: 180_000,
  }, async () => {
    const stream = await open(brokers);
    try {
      const [{ bus, deps, lines }] = stream.members;
      const letter = (eventId: string, record: unknown) => ({
        consumer: 'large',
        eventId,
        orderId: eventId,
        topic: 'raw.order-events',
        record,
        error: 'wrong',
        retryCount: 0,
      });
      await deps.transactions.run(async (tx) => {
        await tx.deadLetters.add([letter('large', 'x'.repeat(1_200_000)), letter('small', 'y')]);
        await tx.appendEvents([processing('after', 1)]);
      });
      const heard: Delivery[] = [];
      await bus.subscribe({
        group: randomUUID(),
        topics: ['raw.order-events', 'dlq.order-events'],
        types: ['order.processing'],
        handle: async ({ deliveries }) => {
          heard.push(...deliveries);
        },
      });
      await until('what follows it is relayed', () => heard.length >= 2);
      assert.deepEqual(heard.map(({ key }) => key).sort(), ['after', 'small']);
      assert.equal(lines.filter(({ message }) => /it is skipped/.test(message)).length, 1);
    } finally {
      await stream.close();
    }
  });
});

/** An assigner that no other member knows, which leaves its partitions unread. */
function strangeAssigner(topic: string) {
  return () => ({
    name: 'StrangeAssigner',
    version: 1,
    assign: async ({ members }: { members: { memberId: string }[] }) =>
      members.map(({ memberId }) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 1,
          assignment: { [topic]: [] },
          userData: Buffer.alloc(0),
        }),
      })),
    protocol: ({ topics }: { topics: string[] }) => ({
      name: 'StrangeAssigner',
      metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }),
    }),
  });
}
