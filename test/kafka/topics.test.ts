/** Topics on a real broker: who creates them and how, partitions that are added, and records that are too large for them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import kafkajs, { type Admin } from 'kafkajs';
import { ALL_TOPICS } from '../../internal/domain/topics.ts';
import { appendEntries } from '../../internal/repository/postgres/stream/event-log.ts';
import type { Delivery, RecordSink } from '../../internal/service/stream/ports.ts';
import { resendRefused } from '../../internal/service/stream/refused-records.ts';
import { busBySettings, kafkaClient, lonelyBus, openKafkaStream } from '../contract/kafka-stream.ts';
import { processing } from '../contract/stream-member.ts';
import { kafkaForTests } from '../support/kafka.ts';
import { until } from '../support/until.ts';

const kafka = await kafkaForTests();
const skip = 'skip' in kafka ? kafka.skip : false;
const brokers = 'brokers' in kafka ? kafka.brokers : '';

describe('topics on Kafka', { skip, timeout: 180_000 }, () => {
  let admin: Admin;
  before(async () => {
    admin = kafkaClient(brokers).admin();
    await admin.connect();
  });
  after(() => admin?.disconnect());

  const settingsOf = async (topic: string) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
    });
    return new Map(
      resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]),
    );
  };
  const limit = (topic: string, bytes: number) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: topic,
          configEntries: [{ name: 'max.message.bytes', value: String(bytes) }],
        },
      ],
    });

  it('topics are created with the partitions, in-sync replicas and record size of the settings', async () => {
    const { bus, topicPrefix } = busBySettings(brokers, {
      KAFKA_PARTITIONS: '2',
      KAFKA_MIN_INSYNC_REPLICAS: '2',
      KAFKA_MAX_RECORD_BYTES: '3000000',
    });
    const topic = `${topicPrefix}order.ready`;
    await until('the topics to be created', () => bus.fault() === undefined);
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    assert.equal(topics[0]?.partitions.length, 2);
    const settings = await settingsOf(topic);
    assert.equal(settings.get('min.insync.replicas'), '2');
    const bytes = Number(settings.get('max.message.bytes'));
    assert.ok(bytes > 3_000_000);
    // This replaces the number of in-sync replicas, which one broker cannot have.
    await limit(topic, bytes);
    const large = { topic: 'order.ready', key: 'o', value: 'x'.repeat(2_900_000), headers: {} };
    await bus.send([large]);
    await assert.rejects(bus.send([{ ...large, value: 'x'.repeat(3_100_000) }]), { code: 'INVALID_INPUT' });
    await bus.close();
  });

  it('records are compressed if the settings say so, and not otherwise', async () => {
    const record = { topic: 'order.ready', key: 'o', value: 'x'.repeat(100_000), headers: {} };
    const plain = busBySettings(brokers, {});
    const compressing = ['gzip', 'snappy'].map(
      (KAFKA_COMPRESSION) =>
        busBySettings(brokers, { KAFKA_PREFIX: plain.topicPrefix, KAFKA_COMPRESSION }).bus,
    );
    try {
      await until('the topics to be created', () => plain.bus.fault() === undefined);
      await limit(`${plain.topicPrefix}order.ready`, 20_000);
      await until('the refusal of a record that is not compressed', () =>
        plain.bus.send([record]).then(
          () => false,
          (error) => /MESSAGE_TOO_LARGE/.test(error.message),
        ),
      );
      for (const bus of compressing) await bus.send([record]);
    } finally {
      await Promise.all([plain.bus, ...compressing].map((bus) => bus.close()));
    }
  });

  it('more replicas than brokers are a fault that names it', async () => {
    const { bus } = lonelyBus(brokers, undefined, { replicationFactor: 3 });
    await until('the fault', () => /replication/i.test(bus.fault() ?? ''));
    await bus.close();
  });

  it('topics that are not to be created are waited for by name, and used once they exist', async () => {
    const { bus, topicPrefix } = lonelyBus(brokers, undefined, { create: false });
    await until('the fault', () => /KAFKA_CREATE_TOPICS is no, .*order\.ready/.test(bus.fault() ?? ''));
    const creator = lonelyBus(brokers, topicPrefix);
    await until('the topics to be created', () => creator.bus.fault() === undefined);
    await until('it to be well', () => bus.fault() === undefined);
    await bus.send([{ topic: 'order.ready', key: 'o', value: 1, headers: {} }]);
    await Promise.all([bus.close(), creator.bus.close()]);
  });

  it('partitions that are added to a topic are written by a producer and read by a consumer that run', async () => {
    const { bus, topicPrefix } = lonelyBus(brokers, undefined, { partitions: 1, metadataMs: 1_000 });
    const topic = `${topicPrefix}order.ready`;
    const read: Delivery[] = [];
    await bus.subscribe({
      group: randomUUID(),
      topics: ['order.ready'],
      types: [],
      async handle({ deliveries }) {
        read.push(...deliveries);
      },
    });
    const send = () => bus.send([{ topic: 'order.ready', key: randomUUID(), value: 1, headers: {} }]);
    await send();
    await until('the first partition to be read', () => read.length === 1);
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
    await until('a record of each new partition', async () => {
      await send();
      return [1, 2].every((partition) => read.some(({ position }) => position.startsWith(`${partition}-`)));
    });
    await bus.close();
  });

  it('the console names topics without the prefix of the installation, and lists no others', async () => {
    const { bus, topicPrefix } = lonelyBus(brokers);
    const other = lonelyBus(brokers);
    const topic = async (...args: string[]) => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', 'cmd/topic.ts', ...args],
        {
          cwd: path.resolve(import.meta.dirname, '../..'),
          env: { PATH: process.env.PATH, KAFKA_BROKERS: brokers, KAFKA_PREFIX: topicPrefix },
          timeout: 60_000,
        },
      );
      return stdout.trim().split('\n');
    };
    try {
      const record = { topic: 'order.ready', key: 'o', headers: {} };
      await bus.send([{ ...record, value: 'ours' }]);
      await other.bus.send([{ ...record, value: 'theirs' }]);
      assert.deepEqual(await topic('list'), [...ALL_TOPICS].sort());
      await topic('produce', 'order.ready', '"produced"');
      assert.deepEqual(await topic('consume', 'order.ready', '--from-beginning', '--count', '2'), [
        '"ours"',
        '"produced"',
      ]);
    } finally {
      await Promise.all([bus.close(), other.bus.close()]);
    }
  });

  it('an event that its topic does not take becomes a dead letter of the relay, blocks nothing, and is sent on request', async () => {
    const stream = await openKafkaStream(brokers);
    const [{ bus, deps, pool, lines }] = stream.members;
    const prefix = stream.address.kafka?.topicPrefix;
    const heard: Delivery[] = [];
    try {
      for (const topic of ['raw.order-events', 'dlq.order-events']) await limit(prefix + topic, 50_000);
      await bus.subscribe({
        group: randomUUID(),
        topics: ['raw.order-events', 'dlq.order-events'],
        types: ['order.processing'],
        async handle({ deliveries }) {
          heard.push(...deliveries);
        },
      });
      const record = { size: 'x'.repeat(100_000) };
      const entry = { eventType: 'record', orderId: 'large', topic: 'raw.order-events', record };
      await appendEntries(pool, [entry]);
      await bus.publish([processing('after', 1)]);
      await until('what follows it to be relayed', () => heard.some(({ key }) => key === 'after'));
      const [letter] = await until('the dead letter', async () => {
        const letters = await deps.deadLetters.list({ limit: 10, consumer: 'event-relay' });
        return letters.length > 0 && letters;
      });
      assert.deepEqual([letter?.orderId, letter?.topic, letter?.record], ['large', entry.topic, record]);
      assert.match(letter?.error ?? '', /MESSAGE_TOO_LARGE/);
      const excerpt = await until('the dead letter on its topic', () =>
        heard.find(({ topic }) => topic === 'dlq.order-events'),
      );
      assert.equal(typeof excerpt.record, 'string');
      assert.equal(excerpt.headers?.['x-original-topic'], 'raw.order-events');

      await limit(`${prefix}raw.order-events`, 1_000_000);
      await deps.deadLetters.requestReplay(letter?.id ?? '');
      const sink = bus as typeof bus & RecordSink;
      await until('it to be sent', async () => (await resendRefused({ ...deps, sink })) === 1);
      await until('it to be read', () =>
        heard.some(({ topic, key }) => topic === entry.topic && key === 'large'),
      );
      assert.deepEqual(await deps.deadLetters.list({ limit: 10 }), []);
      assert.deepEqual(
        lines.filter(({ level }) => level === 'error'),
        [],
      );
    } finally {
      await stream.close();
    }
  });
});
