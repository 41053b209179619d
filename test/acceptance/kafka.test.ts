/** The acceptance tests of the reference documents, on Kafka. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe } from 'node:test';
import { type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';
import { whyNoKafka } from '../support/kafka.ts';
import { type System, startSystem } from './system.ts';
import { walks } from './walks.ts';

const skip = (await whyNoKafka()) ?? false;

describe('on Kafka', { skip }, () => {
  let dir: string;
  let broker: KafkaBroker;
  let system: System;
  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'tiffin-kafka-acceptance-'));
    broker = await startKafka({ dir });
    system = await startSystem({ KAFKA_BROKERS: broker.brokers });
  });
  after(async () => {
    await system?.stop();
    await broker?.stop();
    await rm(dir, { recursive: true, force: true });
  });
  for (const [name, walk] of walks) describe(name, () => walk(() => system));
});
