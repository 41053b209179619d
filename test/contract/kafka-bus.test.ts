/** The stream on Kafka: the contract on a real broker, and what happens when the broker or kafkajs gives up. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AssignerProtocol, Kafka, logLevel, Partitioners } from 'kafkajs';
import { type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';
import { TiffinError } from '../../internal/domain/errors.ts';
import { toRecord } from '../../internal/domain/records.ts';
import { migrateDatabase } from '../../internal/repository/postgres/database.ts';
import { subscriptionOf } from '../../internal/service/stream/consume.ts';
import type { Delivery } from '../../internal/service/stream/ports.ts';
import { kafkaBus } from '../../internal/transport/events/kafka-bus.ts';
import { kafkaForTests } from '../support/kafka.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { eventBusContract, type Stream } from './event-bus.ts';
import {
  countingConsumer,
  effectsOf,
  keepLines,
  type LogLine,
  openMember,
  processing,
} from './stream-member.ts';

const shared = await kafkaForTests();
const skip = 'skip' in shared ? shared.skip : false;

function client(brokers: string): Kafka {
  return new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
}

async function open(brokers: string): Promise<Stream> {
  const database = await freshDatabase();
  await migrateDatabase(database.url);
  const topicPrefix = `${randomUUID().slice(0, 8)}.`;
  const address = { databaseUrl: database.url, kafka: { brokers, topicPrefix } };
  const members = [openMember(address, { relays: true }), openMember(address, { relays: false })] as const;
  const outsider = client(brokers).producer({ createPartitioner: Partitioners.DefaultPartitioner });
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

eventBusContract('Kafka', {
  open: () => open('brokers' in shared ? shared.brokers : ''),
  skip,
  // One for each partition that is read at once.
  batchesInHand: 3,
});

describe('the Kafka bus', { skip }, () => {
  const brokers = 'brokers' in shared ? shared.brokers : '';

  function lonelyBus(at: string, topicPrefix = `${randomUUID().slice(0, 8)}.`) {
    const lines: LogLine[] = [];
    const bus = kafkaBus({
      brokers: [at],
      clientId: 'lonely',
      log: keepLines(lines),
      topicPrefix,
      partitions: 1,
      sessionTimeoutMs: 6_000,
    });
    return { bus, lines, topicPrefix };
  }

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

  describe('when its broker dies', () => {
    let dir: string;
    let broker: KafkaBroker;
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'tiffin-kafka-mortal-'));
      broker = await startKafka({ dir });
    });
    after(async () => {
      await broker?.stop();
      await rm(dir, { recursive: true, force: true });
    });

    test('loses nothing and repeats no effect, and says what is wrong until it is back', {
      timeout: 180_000,
    }, async () => {
      const stream = await open(broker.brokers);
      try {
        const [first, second] = stream.members;
        const group = randomUUID();
        for (const { bus, deps } of stream.members)
          await bus.subscribe(subscriptionOf(deps, countingConsumer(group, { batchSize: 20 })));
        const confirmed: string[] = [];
        let publishing = true;
        const publisher = (async () => {
          for (let version = 1; publishing; version += 1) {
            const events = Array.from({ length: 10 }, (_, order) => processing(`order-${order}`, version));
            while (!(await first.bus.publish(events).then(() => true, isUnavailable)))
              await until('a moment', () => true);
            confirmed.push(...events.map((event) => `${event.orderId} ${event.payload.version}`));
          }
        })();
        await until('it flows', async () => (await effectsOf(first.pool, group)).length > 100);
        broker.kill();
        await until('both say so', () => first.bus.fault() !== undefined && second.bus.fault() !== undefined);
        await broker.restart();
        const before = confirmed.length;
        await until('it flows again', () => confirmed.length > before + 100);
        publishing = false;
        await publisher;
        await until(
          'all took effect',
          async () => (await effectsOf(first.pool, group)).length >= confirmed.length,
        );
        const effects = (await effectsOf(first.pool, group)).map(
          (effect) => `${effect.orderId} ${effect.version}`,
        );
        assert.deepEqual(effects.sort(), confirmed.sort());
        await until(
          'both are well',
          () => first.bus.fault() === undefined && second.bus.fault() === undefined,
        );
        const errors = [...first.lines, ...second.lines].filter((line) => line.level === 'error');
        assert.deepEqual(errors, []);
        assert.ok(first.lines.filter((line) => line.level === 'warn').length < 200, 'the log is not flooded');
        assert.deepEqual(await first.deps.deadLetters.list({ limit: 1 }), []);
      } finally {
        await stream.close();
      }
    });

    test('refuses to publish with UNAVAILABLE, publishes again once it is back, and closes in time without it', {
      timeout: 180_000,
    }, async () => {
      const { bus } = lonelyBus(broker.brokers);
      await bus.publish([processing('order', 1)]);
      broker.kill();
      const started = performance.now();
      await assert.rejects(
        bus.publish([processing('order', 2)]),
        (error) => error instanceof TiffinError && error.code === 'UNAVAILABLE',
      );
      assert.ok(performance.now() - started < 20_000);

      // Neither is a bus that never saw its broker an obstacle.
      const early = lonelyBus(broker.brokers);
      const heard: Delivery[] = [];
      await early.bus.subscribe({
        group: randomUUID(),
        topics: ['order.ready'],
        types: ['order.processing'],
        handle: async ({ deliveries }) => {
          heard.push(...deliveries);
        },
      });
      assert.match(early.bus.fault() ?? '', /has not joined|Kafka/);
      await assert.rejects(early.bus.publish([processing('order', 1)]), /Kafka/);

      await broker.restart();
      await bus.publish([processing('order', 3)]);
      await until('the early one is well', () => early.bus.fault() === undefined);
      await early.bus.send([
        { topic: 'order.ready', key: 'order', value: processing('order', 4), headers: {} },
      ]);
      await until('the early one reads', () => heard.length === 1);

      broker.kill();
      const closing = performance.now();
      await Promise.all([bus.close(), early.bus.close()]);
      assert.ok(performance.now() - closing < 20_000, `closed after ${performance.now() - closing} ms`);
      await broker.restart();
    });
  });
});

function isUnavailable(error: unknown): false {
  assert.ok(error instanceof TiffinError && error.code === 'UNAVAILABLE', String(error));
  return false;
}

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
