/** examples/ready-orders-python, on a real Kafka. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { kafkaClient } from '../contract/kafka-stream.ts';
import { kafkaForTests } from '../support/kafka.ts';
import { type Program, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { ROOT, startExample } from './example.ts';

const run = promisify(execFile);
const TOPIC = 'order.ready';
const FOLDER = path.join(ROOT, 'examples/ready-orders-python');

const kafka = await kafkaForTests();
const skip = 'skip' in kafka ? kafka.skip : await whyNoPython();

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
  const brokers = 'brokers' in kafka ? kafka.brokers : '';
  const consumer = (group: string) =>
    startExample(path.join(dir, 'venv/bin/python'), [path.join(FOLDER, 'consumer.py')], {
      KAFKA_BROKERS: brokers,
      GROUP_ID: group,
      SEEN_FILE: path.join(dir, 'seen'),
    });
  const place = (id: string) =>
    request('POST', `${program.url}/orders`, { id, customer_name: 'Asha', total_price: 5 });

  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'tiffin-python-'));
    await run('python3', ['-m', 'venv', path.join(dir, 'venv')]);
    await run(path.join(dir, 'venv/bin/pip'), ['install', '-q', '-r', path.join(FOLDER, 'requirements.txt')]);
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    program = await startProgram({
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      KAFKA_BROKERS: brokers,
    });
  });
  after(async () => {
    await program?.stop();
    await Promise.all([database?.drop(), redis?.drop(), rm(dir, { recursive: true, force: true })]);
  });

  it('prints each order once, commits its offsets, and skips what is delivered again', async () => {
    const [one, two, three] = [randomUUID(), randomUUID(), randomUUID()];
    const [group, another] = [randomUUID(), randomUUID()];
    const about = (lines: readonly string[], id: string) => lines.filter((line) => line.startsWith(id));
    const ready = (lines: readonly string[], id: string) =>
      about(lines, id).filter((line) => line.includes(' is ready at '));

    await Promise.all([place(one), place(two)]);
    const first = consumer(group);
    await until('both orders to be printed', () =>
      [one, two].every((id) => ready(first.lines, id).length > 0),
    );
    await until('the offsets to be committed', () => hasCommittedAll(group));
    await first.stop();
    for (const id of [one, two]) assert.equal(ready(first.lines, id).length, 1);

    await place(three);
    const second = consumer(another);
    await until('all orders to be delivered', () =>
      [one, two, three].every((id) => about(second.lines, id).length > 0),
    );
    await second.stop();
    assert.deepEqual(
      [one, two, three].map((id) => ready(second.lines, id).length),
      [0, 0, 1],
    );
  });

  /** True once the group's offsets are the ends of the topic's partitions. */
  async function hasCommittedAll(groupId: string): Promise<boolean> {
    const admin = kafkaClient(brokers).admin();
    await admin.connect();
    try {
      const ends = await admin.fetchTopicOffsets(TOPIC);
      const [committed] = await admin.fetchOffsets({ groupId, topics: [TOPIC] });
      const offsets = new Map(committed?.partitions.map(({ partition, offset }) => [partition, offset]));
      return ends.every(({ partition, high }) => high === '0' || offsets.get(partition) === high);
    } finally {
      await admin.disconnect();
    }
  }
});
