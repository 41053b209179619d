/** examples/ready-orders-python, on a real Kafka. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { kafkaForTests } from '../support/kafka.ts';
import { type Program, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { type Example, ROOT, startExample } from './example.ts';

const run = promisify(execFile);
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
  const started: Example[] = [];
  function consumer(): Example {
    const env = { KAFKA_BROKERS: brokers, SEEN_FILE: path.join(dir, 'seen') };
    const example = startExample(path.join(dir, 'venv/bin/python'), [path.join(FOLDER, 'consumer.py')], env);
    started.push(example);
    return example;
  }

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
    await Promise.all(started.map((example) => example.stop()));
    await program?.stop();
    await Promise.all([database?.drop(), redis?.drop(), rm(dir, { recursive: true, force: true })]);
  });

  it('prints each order once, also after it was started again', async () => {
    const place = (id: string) =>
      request('POST', `${program.url}/orders`, { id, customer_name: 'Asha', total_price: 5 });
    const ids = (lines: readonly string[]) => lines.map((line) => line.split(' ')[0]).sort();

    await Promise.all([place('p-1'), place('p-2')]);
    const first = consumer();
    await until('both orders to be printed', () => first.lines.length >= 2);
    await first.stop();
    assert.deepEqual(ids(first.lines), ['p-1', 'p-2']);

    await place('p-3');
    const second = consumer();
    await until('the third order to be printed', () => second.lines.length >= 1);
    await second.stop();
    assert.deepEqual(ids(second.lines), ['p-3']);
  });
});
