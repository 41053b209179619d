/** The Kafka broker of `npm run kafka` and the tests: it stores its data and ends with its parent process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';
import { kafkaForTests, whyNoKafka } from '../support/kafka.ts';
import { until } from '../support/until.ts';

const skip = (await whyNoKafka()) ?? false;
const shared = await kafkaForTests();
const MAIN = fileURLToPath(new URL('../../cmd/kafka/main.ts', import.meta.url));

describe('a Kafka broker from Maven artifacts', { skip, timeout: 180_000 }, () => {
  let dir: string;
  let broker: KafkaBroker;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'kafka-broker-test-'));
    broker = await startKafka({ dir: join(dir, 'broker') });
  });
  after(async () => {
    await broker?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  test('a topic created by its first message has four partitions', async () => {
    const topic = randomUUID();
    await produce(broker.brokers, topic, ['first']);
    const offsets = await withAdmin(broker.brokers, (admin) => admin.fetchTopicOffsets(topic));
    assert.equal(offsets.length, 4);
  });

  test('a consumer group reads the produced messages and commits its offsets', async () => {
    const topic = randomUUID();
    const group = randomUUID();
    await produce(broker.brokers, topic, ['a', 'b', 'c']);
    assert.deepEqual((await consume(broker.brokers, topic, group, 3)).sort(), ['a', 'b', 'c']);
    const committed = await withAdmin(broker.brokers, (admin) =>
      admin.fetchOffsets({ groupId: group, topics: [topic] }),
    );
    const total = committed[0]!.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0);
    assert.equal(total, 3);
  });

  test('after SIGKILL and a restart the broker has the same address, messages and committed offsets', async () => {
    const topic = randomUUID();
    const group = randomUUID();
    const { brokers, pid } = broker;
    await produce(brokers, topic, ['before 1', 'before 2']);
    assert.equal((await consume(brokers, topic, group, 2)).length, 2);

    broker.kill();
    await broker.restart();

    assert.equal(broker.brokers, brokers);
    assert.notEqual(broker.pid, pid);
    await produce(brokers, topic, ['after']);
    assert.deepEqual(await consume(brokers, topic, group, 1), ['after']);
    assert.deepEqual((await consume(brokers, topic, randomUUID(), 3)).sort(), [
      'after',
      'before 1',
      'before 2',
    ]);
  });

  test('a broker started on the same folder at another port still has its messages', async () => {
    const topic = randomUUID();
    await produce(broker.brokers, topic, ['kept']);
    await broker.stop();
    broker = await startKafka({ dir: join(dir, 'broker') });
    assert.deepEqual(await consume(broker.brokers, topic, randomUUID(), 1), ['kept']);
  });

  test('startKafka refuses a port in use with a message that names the port', async () => {
    const port = Number(broker.brokers.split(':')[1]);
    await assert.rejects(
      startKafka({ dir: join(dir, 'refused'), port }),
      new RegExp(`port ${port} is taken`),
    );
  });

  test('a second broker on the same folder fails with the reason, and the first broker still works', async () => {
    await assert.rejects(startKafka({ dir: join(dir, 'broker') }), /Failed to acquire lock on file \.lock/);
    await broker.restart();
    await produce(broker.brokers, randomUUID(), ['still here']);
  });

  test('the broker ends when the process that started it is killed', async () => {
    const port = await unusedPort();
    const starter = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), MAIN], {
      cwd: dir,
      env: { ...process.env, KAFKA_PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let events = '';
    starter.stderr.setEncoding('utf8').on('data', (chunk) => {
      events += chunk;
    });
    const [line] = await once(starter.stdout.setEncoding('utf8'), 'data');
    assert.equal(line, `KAFKA_BROKERS=127.0.0.1:${port} npm start\n`);
    const pidOf = () => Number(/pid (\d+)/.exec(events)?.[1]);
    await until('the broker to run', () => pidOf() > 0);
    const pid = pidOf();
    assert.ok(isAlive(pid));
    starter.kill('SIGKILL');
    await until('the broker to end', () => !isAlive(pid));
  });
});

test('kafkaForTests starts one broker per process', {
  skip: 'skip' in shared && shared.skip,
}, async () => {
  assert.ok('brokers' in shared);
  assert.equal(await kafkaForTests(), shared);
  await produce(shared.brokers, randomUUID(), ['hello']);
});

function client(brokers: string): Kafka {
  return new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
}

async function produce(brokers: string, topic: string, values: string[]): Promise<void> {
  const producer = client(brokers).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  try {
    await producer.send({ topic, messages: values.map((value) => ({ key: value, value })) });
  } finally {
    await producer.disconnect();
  }
}

/** Reads `count` messages as a member of the group; leaving the group commits their offsets. */
async function consume(brokers: string, topic: string, groupId: string, count: number): Promise<string[]> {
  // A member leaves only after the answer to its pending fetch, which takes 5 s by default on an idle topic.
  const consumer = client(brokers).consumer({ groupId, maxWaitTimeInMs: 50 });
  await consumer.connect();
  try {
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    const values: string[] = [];
    await new Promise<void>((resolve, reject) => {
      // While the coordinator loads after a restart, kafkajs's consumer crashes and then restarts itself.
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) reject(payload.error);
      });
      consumer
        .run({
          eachMessage: async ({ message }) => {
            values.push(String(message.value));
            if (values.length >= count) resolve();
          },
        })
        .catch(reject);
    });
    return values;
  } finally {
    await consumer.disconnect();
  }
}

async function withAdmin<T>(
  brokers: string,
  use: (admin: ReturnType<Kafka['admin']>) => Promise<T>,
): Promise<T> {
  const admin = client(brokers).admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
