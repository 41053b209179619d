/** Tiffin on Kafka, with a process for each service and a broker that is killed and restarted. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { type KafkaBroker, startKafka } from '../../cmd/kafka/broker.ts';
import { whyNoKafka } from '../support/kafka.ts';
import { placeOrders } from '../support/order-client.ts';
import { assertEachCompletedOnce, countUnfinished } from '../support/orders.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const skip = (await whyNoKafka()) ?? false;

describe('Tiffin on Kafka', { skip }, () => {
  let dir: string;
  let broker: KafkaBroker;
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let env: Record<string, string>;
  let api: Program;
  const running = new Set<Program>();

  async function start(...services: string[]): Promise<Program> {
    const program = await startProgram(env, services);
    running.add(program);
    return program;
  }
  const topic = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', 'cmd/topic.ts', ...args], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, KAFKA_BROKERS: broker.brokers },
      timeout: 60_000,
    });

  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'tiffin-kafka-e2e-'));
    [broker, database, redis] = await Promise.all([startKafka({ dir }), freshDatabase(), freshRedis()]);
    env = {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      KAFKA_BROKERS: broker.brokers,
      DISPATCH_LEASE_MS: '1000',
    };
    [api] = await Promise.all([
      start('order-service'),
      start('event-relay'),
      start('scheduler-worker'),
      start('processing-service'),
    ]);
  });
  after(async () => {
    await Promise.all([...running].map((program) => program.kill()));
    await Promise.all([broker.stop(), database.drop(), redis.drop()]);
    await rm(dir, { recursive: true, force: true });
  });

  it('an order completes, and its records on the topics have their flat fields', async () => {
    await request('POST', `${api.url}/orders`, { id: 'order-1', customer_name: 'Asha', total_price: 500 });
    await reaches(api.url, 'order-1', 'COMPLETED');
    for (const [name, time] of [
      ['order.created', 'created_at'],
      ['order.ready', 'ready_at'],
      ['order.completed', 'completed_at'],
    ]) {
      const { stdout } = await topic('consume', name as string, '--from-beginning', '--count', '1');
      const record = JSON.parse(stdout);
      assert.equal(record.order_id, 'order-1');
      assert.equal(record.eventType, name);
      assert.ok(Date.parse(record[time as string]), `${name} has the field ${time}`);
    }
    assert.ok((await topic('list')).stdout.split('\n').includes('raw.order-events'));
  });

  it('the figures of a process have the lag of its consumers, and that none is down', async () => {
    const worker = await start('processing-service');
    const wanted = [
      /^tiffin_consumer_down\{consumer="processing-service[^"]*"\} 0$/m,
      /^tiffin_consumer_lag_records\{consumer="processing-service[^"]*"\} 0$/m,
      /^# TYPE tiffin_consumer_rejoins_total counter$/m,
    ];
    await until('the figures', async () => {
      const figures = await (await fetch(`${worker.url}/metrics`)).text();
      return wanted.every((line) => line.test(figures));
    });
    running.delete(worker);
    await worker.stop();
  });

  for (const [fault, begin, end] of [
    ['is killed', () => broker.kill(), () => broker.restart()],
    ['is silent', () => process.kill(broker.pid, 'SIGSTOP'), () => process.kill(broker.pid, 'SIGCONT')],
  ] as const)
    it(`while the broker ${fault}, of the services that need it none is ready; afterwards all are`, async () => {
      const readyUrls = async () => {
        const asked = [...running].map(async ({ url }) => {
          const { status } = await request('GET', `${url}/readyz`);
          assert.ok(status === 200 || status === 503, String(status));
          return status === 200 ? url : [];
        });
        return (await Promise.all(asked)).flat();
      };
      await until('all to be ready', async () => (await readyUrls()).length === running.size);
      begin();
      try {
        // It takes orders, which wait for the broker.
        await until('the others not to be ready', async () => String(await readyUrls()) === api.url);
      } finally {
        await end();
      }
      await until('all to be ready again', async () => (await readyUrls()).length === running.size);
    });

  it('no order is lost or completed twice when the broker and a service are killed', async () => {
    const processing = await start('processing-service');
    const client = placeOrders(() => api.url, { prefix: 'k', lanes: 4, dueInMs: () => randomInt(1_000) });
    await until('orders to be placed', () => client.acknowledged.length > 300);
    broker.kill();
    running.delete(processing);
    await processing.kill();
    const before = client.acknowledged.length;
    await until('orders to be placed without a broker', () => client.acknowledged.length > before + 100);
    await broker.restart();
    await client.stop();
    await until('every order to be completed', async () => (await countUnfinished(database.url)) === 0);
    await assertEachCompletedOnce(database.url, client.acknowledged);
  });

  it('the processes log no error although the broker was killed', () => {
    const errors = [...running].flatMap(({ log }) =>
      log.filter(({ level }) => level === 'error' || level === 'fatal'),
    );
    assert.deepEqual(errors, []);
  });
});
