/** Compressed batches on a real broker: gzip, snappy, lz4 and zstd are read, and a batch that cannot be decoded stops nobody. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import kafkajs from 'kafkajs';
import type { Meter } from '../../internal/service/ports.ts';
import type { Delivery } from '../../internal/service/stream/ports.ts';
import {
  type Compression,
  compressionType,
  register,
  registerCodecs,
} from '../../internal/transport/events/kafka-codecs.ts';
import { kafkaClient, lonelyBus } from '../contract/kafka-stream.ts';
import { kafkaForTests } from '../support/kafka.ts';
import { until } from '../support/until.ts';

const kafka = await kafkaForTests();
const skip = 'skip' in kafka ? kafka.skip : false;
const brokers = 'brokers' in kafka ? kafka.brokers : '';

/** JSON of 2 kB that compresses by about half, so that a batch of 400 has many blocks of every format. */
const jsonOf = (n: number) =>
  JSON.stringify({ n, noise: randomBytes(500).toString('hex'), text: 'Extra cheese, please. '.repeat(50) });

/** A topic whose broker compresses every batch in this way, whatever the producer did. */
async function topicCompressedWith(compression: string): Promise<string> {
  const topic = `${randomUUID().slice(0, 8)}.raw.order-events`;
  const admin = kafkaClient(brokers).admin();
  await admin.connect();
  const configEntries = [{ name: 'compression.type', value: compression }];
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }], waitForLeaders: false });
  // The broker confirms the creation before it serves the topic.
  await until('the topic to be served', () =>
    admin.fetchTopicMetadata({ topics: [topic] }).then(
      () => true,
      () => false,
    ),
  );
  await admin.disconnect();
  return topic;
}

async function produce(topic: string, values: readonly string[], compression: Compression = 'none') {
  const producer = kafkaClient(brokers).producer();
  await producer.connect();
  await producer.send({
    topic,
    compression: compressionType(compression),
    messages: values.map((value, n) => ({ key: `order-${n % 7}`, value })),
  });
  await producer.disconnect();
}

/** Consumes the topic with a bus of its own; `delivered` grows. */
async function consume(topic: string, meter?: Meter) {
  const [prefix] = topic.split('raw.');
  const { bus, lines } = lonelyBus(brokers, prefix, meter && { meter });
  const delivered: Delivery[] = [];
  await bus.subscribe({
    group: randomUUID(),
    topics: ['raw.order-events'],
    types: ['order.created'],
    async handle({ deliveries }) {
      delivered.push(...deliveries);
    },
  });
  return { bus, delivered, lines };
}

describe('bytes that cannot be decoded', () => {
  const { CompressionCodecs, CompressionTypes } = kafkajs;
  for (const name of ['GZIP', 'Snappy', 'LZ4', 'ZSTD'] as const)
    it(`are the fault of each record of their batch, with ${name} as with every other codec`, async () => {
      registerCodecs();
      // A batch of three records, as far as its header is read.
      const batch = Buffer.alloc(100, 0xff);
      batch.writeInt32BE(2, 0);
      batch.writeInt32BE(3, 34);
      const codec = CompressionCodecs[CompressionTypes[name] as keyof typeof CompressionCodecs]();
      const records = await codec.decompress(batch.subarray(38));
      const faults = records.toString().match(/this record's batch cannot be decoded with \w+: \w*Error/g);
      assert.equal(faults?.length, 3, records.toString());
    });
});

describe('compressed batches', { skip, timeout: 120_000 }, () => {
  for (const compression of ['gzip', 'snappy', 'lz4', 'zstd']) {
    it(`every record is read from a topic that the broker compresses with ${compression}`, async () => {
      const topic = await topicCompressedWith(compression);
      const values = Array.from({ length: 400 }, (_, n) => jsonOf(n));
      await produce(topic, values);
      const { bus, delivered } = await consume(topic);
      await until('all to be read', () => delivered.length >= values.length);
      assert.deepEqual(
        delivered.map(({ record }) => JSON.stringify(record)),
        values,
      );
      await bus.close();
    });
  }

  for (const compression of ['gzip', 'snappy'] as const) {
    it(`records that are produced with ${compression} are accepted by the broker and read back`, async () => {
      registerCodecs();
      const topic = await topicCompressedWith('producer');
      const values = Array.from({ length: 400 }, (_, n) => jsonOf(n));
      await produce(topic, values, compression);
      const { bus, delivered } = await consume(topic);
      await until('all to be read', () => delivered.length >= values.length);
      assert.deepEqual(
        delivered.map(({ record }) => JSON.stringify(record)),
        values,
      );
      await bus.close();
    });
  }

  it('each record of a batch that cannot be decoded is delivered with the fault, and later records are read', async () => {
    const topic = await topicCompressedWith('lz4');
    const values = Array.from({ length: 30 }, (_, n) => jsonOf(n));
    await produce(topic, values);
    const { bus, delivered } = await consume(topic);
    register(kafkajs.CompressionTypes.LZ4, 'lz4', undefined, () => {
      throw new RangeError('invalid magic number');
    });
    try {
      await until('the batch to be delivered', () => delivered.length >= 30);
    } finally {
      registerCodecs();
    }
    await produce(topic, ['{"after":true}']);
    await until('the next record to be read', () => delivered.length >= 31);
    assert.equal(delivered.length, 31);
    const fault = "this record's batch cannot be decoded with lz4: RangeError: invalid magic number";
    assert.deepEqual(
      delivered.map(({ position, record }) => [position, record]),
      [...values.map((_, n) => [`0-${n}`, fault]), ['0-30', { after: true }]],
    );
    assert.equal(bus.fault(), undefined);
    await bus.close();
  });

  it('a consumer that joins its group and fails at once does so ever more slowly, and is reported once', async () => {
    const topic = await topicCompressedWith('zstd');
    await produce(topic, [jsonOf(1)]);
    const joins: string[] = [];
    const meter = { count: (name: string) => void joins.push(name), observe() {} };
    const { bus, delivered, lines } = await consume(topic, meter);
    // As kafkajs itself does with a compression that it does not know.
    kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => {
      throw Object.assign(new Error('ZSTD is not implemented'), { name: 'KafkaJSNotImplemented' });
    };
    try {
      await until('several attempts', () => joins.length > 3);
    } finally {
      registerCodecs();
    }
    const reports = lines.filter(({ message }) => message === 'the consumer is down and is restarted');
    assert.deepEqual(
      reports.map(({ level }) => level),
      ['warn'],
    );
    await until('the record to be read', () => delivered.length === 1);
    assert.equal(bus.fault(), undefined);
    await bus.close();
  });
});
