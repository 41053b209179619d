/** examples/ready-orders-python, on a real Kafka. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { startKafka } from '../../cmd/kafka/broker.ts';
import { whyNoKafka } from '../support/kafka.ts';
import { type Program, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { type Example, ROOT, startExample } from './example.ts';

const run = promisify(execFile);
const TOPIC = 'order.ready';
const GROUP = 'ready-orders-example';
const FOLDER = path.join(ROOT, 'examples/ready-orders-python');

const skip = (await whyNoKafka()) ?? (await whyNoPython());

/** The reason there is no Python with virtual environments; an error where CI requires it. */
async function whyNoPython(): Promise<string | false> {
  try {
    await run('python3', ['-c', 'import ensurepip']);
    return false;
  } catch (error) {
    if (process.env.KAFKA_TESTS === 'required') throw error;
    return 'python3 with venv is not installed';
  }
}

describe('the example of a consumer in Python', { skip, timeout: 240_000 }, () => {
  let dir: string;
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let program: Program;
  /** A broker of its own, because the test counts the records of a topic whose name is fixed. */
  let broker: Awaited<ReturnType<typeof startKafka>>;
  let admin: Admin;
  const started: Example[] = [];
  function consumer(seenFile = path.join(dir, 'seen')): Example {
    const env = { KAFKA_BROKERS: broker.brokers, SEEN_FILE: seenFile };
    const example = startExample(path.join(dir, 'venv/bin/python'), [path.join(FOLDER, 'consumer.py')], env);
    started.push(example);
    return example;
  }

  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'tiffin-python-'));
    broker = await startKafka({ dir: path.join(dir, 'kafka') });
    await run('python3', ['-m', 'venv', path.join(dir, 'venv')]);
    await run(path.join(dir, 'venv/bin/pip'), ['install', '-q', '-r', path.join(FOLDER, 'requirements.txt')]);
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    program = await startProgram({
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      KAFKA_BROKERS: broker.brokers,
    });
    admin = new Kafka({ brokers: [broker.brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
  });
  after(async () => {
    await Promise.all(started.map((example) => example.stop()));
    await admin?.disconnect();
    await program?.stop();
    await broker?.stop();
    await Promise.all([database?.drop(), redis?.drop(), rm(dir, { recursive: true, force: true })]);
  });

  const place = (id: string) =>
    request('POST', `${program.url}/orders`, { id, customer_name: 'Asha', total_price: 5 });
  const ids = (lines: readonly string[]) => lines.map((line) => line.split(' ')[0]).sort();
  /** The number of records on the topic, and of those that the consumer's group has committed. */
  async function progress() {
    const [ends, [group]] = await Promise.all([
      admin.fetchTopicOffsets(TOPIC),
      admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] }),
    ]);
    const sum = (partitions: readonly { offset: string }[] = []) =>
      partitions.reduce((total, { offset }) => total + Math.max(0, Number(offset)), 0);
    return { records: sum(ends), committed: sum(group?.partitions) };
  }
  const allCommitted = (count: number) =>
    until(`all ${count} records to be committed`, async () => {
      const { records, committed } = await progress();
      return records >= count && committed === records;
    });

  it('commits no offset before the effect', async () => {
    await place('p-1');
    const failing = consumer(path.join(dir, 'no-such-folder/seen'));
    await failing.ended;
    assert.deepEqual(ids(failing.lines), ['p-1']);
    assert.equal((await progress()).committed, 0);
  });

  it('takes up where it stopped', async () => {
    await place('p-2');
    const first = consumer();
    await allCommitted(2);
    await first.stop();
    assert.deepEqual(ids(first.lines), ['p-1', 'p-2']);
  });

  it('prints no order again that is delivered again', async () => {
    await admin.resetOffsets({ groupId: GROUP, topic: TOPIC, earliest: true });
    assert.equal((await progress()).committed, 0);
    await place('p-3');
    const second = consumer();
    await allCommitted(3);
    await second.stop();
    assert.deepEqual(ids(second.lines), ['p-3']);
  });
});
