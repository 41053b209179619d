/** The stream on Kafka: the event bus contract on a real broker, and behaviour specific to Kafka and kafkajs. */
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
  // One for each partition that is read concurrently.
  batchesInHand: 3,
});

describe('the Kafka bus', { skip }, () => {
  const brokers = 'brokers' in shared ? shared.brokers : '';

  test('the Kafka bus restarts a consumer that kafkajs has stopped', { timeout: 180_000 }, async () => {
    const { bus, lines, topicPrefix } = lonelyBus(brokers);
    const group = randomUUID();
    const topic = `${topicPrefix}raw.order-events`;
    // The group already has a member with another protocol, and kafkajs does not retry that refusal.
    const stranger = client(brokers).consumer({
      groupId: topicPrefix + group,
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

  test('the Kafka bus publishes an event to each of its topics, keyed by its order and with its headers', {
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
            // The flat fields differ by topic.
            value: toRecord(event, topic.slice(topicPrefix.length)),
            headers,
          })),
      );
    } finally {
      await Promise.all([bus.close(), reader.disconnect()]);
    }
  });

  test('the Kafka bus sends records beyond the size of one request in sequence, and refuses a record too large for a broker', {
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

  test('the Kafka bus continues past a record that cannot be stored as a dead letter', {
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

  test('the Kafka bus tells how many records a consumer has not passed, whether it is down, and when it joins again', {
    timeout: 180_000,
  }, async () => {
    const joins: unknown[] = [];
    const meter = {
      count: (name: string, _by: number, labels: unknown) => joins.push([name, labels]),
      observe() {},
    };
    const { bus, topicPrefix } = lonelyBus(brokers, undefined, { meter });
    const other = lonelyBus(brokers, topicPrefix);
    const group = randomUUID();
    const subscription = { group, topics: ['order.ready'], types: ['order.processing'] };
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    try {
      const events = Array.from({ length: 30 }, (_, version) => processing('one', version));
      await bus.send(events.map((value) => ({ topic: 'order.ready', key: 'one', value, headers: {} })));
      await bus.subscribe({ ...subscription, handle: () => held });
      assert.deepEqual([...bus.faults()], [[group, 'has not joined its group yet']]);
      await until('it to have joined', () => bus.faults().get(group) === undefined);
      assert.equal((await bus.lags()).get(group), 30);
      release();
      await until('it to have passed all', async () => (await bus.lags()).get(group) === 0);
      assert.deepEqual(joins, []);
      await other.bus.subscribe({ ...subscription, handle: async () => {} });
      await until('it to join again beside another', () => joins.length > 0);
      assert.deepEqual(joins[0], ['consumer_rejoins', { consumer: group }]);
    } finally {
      release();
      await Promise.all([bus.close(), other.bus.close()]);
    }
  });
});

/** A partition assigner that no other member supports; it assigns no partitions. */
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
