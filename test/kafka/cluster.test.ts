/** Tiffin on three Kafka nodes: what it does, and how soon it goes on, when one or two of them are killed. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { KafkaBroker } from '../../cmd/kafka/broker.ts';
import { type KafkaCluster, startKafkaCluster, whyNoKafka } from '../support/kafka.ts';
import { placeOrders } from '../support/order-client.ts';
import { assertEachCompletedOnce, countUnfinished } from '../support/orders.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

const skip = (await whyNoKafka()) ?? false;

describe('Tiffin on three Kafka nodes', { skip, timeout: 280_000 }, () => {
  let cluster: KafkaCluster;
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let api: Program;
  let relay: Program;
  let worker: Program;
  let placed = 0;
  before(async () => {
    [cluster, database, redis] = await Promise.all([startKafkaCluster(), freshDatabase(), freshRedis()]);
    if (process.env.SEEN) console.error('cluster up', performance.now());
    const env = {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      KAFKA_BROKERS: cluster.brokers,
      KAFKA_REPLICATION_FACTOR: '3',
      KAFKA_MIN_INSYNC_REPLICAS: '2',
    };
    [api, relay, worker] = await Promise.all([
      startProgram(env, ['order-service']),
      startProgram(env, ['event-relay']),
      startProgram(env, ['scheduler-worker', 'processing-service']),
    ]);
  });
  after(async () => {
    await Promise.all([api, relay, worker].map((program) => program?.kill()));
    await Promise.all([cluster?.stop(), database?.drop(), redis?.drop()]);
  });

  const readiness = ({ url }: Program) => request('GET', `${url}/readyz`);
  async function place(): Promise<string> {
    const id = `order-${++placed}`;
    const answer = await request('POST', `${api.url}/orders`, { id, customer_name: 'Asha', total_price: 5 });
    assert.equal(answer.status, 201);
    return id;
  }
  /** Places an order for each partition, about, and waits until all have completed. */
  async function ordersComplete(): Promise<void> {
    const ids = await Promise.all(Array.from({ length: 12 }, place));
    for (const id of ids) await reaches(api.url, id, 'COMPLETED');
  }
  async function timed(t: TestContext, what: string, work: Promise<unknown>): Promise<void> {
    const since = performance.now();
    await work;
    t.diagnostic(`${what}: ${((performance.now() - since) / 1_000).toFixed(1)} s`);
    if (process.env.SEEN) console.error(what, performance.now() - since);
  }
  const allReady = () =>
    until('all to be ready', async () => {
      const answers = await Promise.all([api, relay, worker].map(readiness));
      return answers.every(({ status }) => status === 200);
    });

  it('each node is killed in turn, with the partitions and groups that it leads: work goes on, and nothing is lost', async (t) => {
    if (process.env.SEEN) console.error('programs up', performance.now());
    await ordersComplete();
    if (process.env.SEEN) console.error('first complete', performance.now());
    const client = placeOrders(() => api.url, { prefix: 'c', lanes: 1, dueInMs: () => 500 });
    for (const [index, node] of cluster.nodes.entries()) {
      node.kill();
      await timed(t, `node ${index + 1} killed, orders of every partition complete after`, ordersComplete());
      await timed(t, `    and all processes are ready`, allReady());
      await node.restart();
      await ordersComplete();
    }
    await client.stop();
    await until('all to complete', async () => (await countUnfinished(database.url)) === 0);
    await assertEachCompletedOnce(database.url, client.acknowledged);
  });

  it('while too few replicas are in sync, orders are taken and the stream is a fault; afterwards they complete', async (t) => {
    const [first, second] = cluster.nodes as [KafkaBroker, KafkaBroker];
    await allReady();
    first.kill();
    second.kill();
    const waiting: string[] = [];
    const unready = until('the relay and the worker not to be ready', async () => {
      waiting.push(await place());
      const [api503, ...others] = await Promise.all([api, relay, worker].map(readiness));
      assert.equal(api503?.status, 200, 'orders are taken');
      return others.every(({ status, body }) => status === 503 && JSON.stringify(body).includes('Kafka'));
    });
    await timed(t, 'two of three nodes killed, not ready after', unready);
    await Promise.all([first.restart(), second.restart()]);
    const back = Promise.all(waiting.map((id) => reaches(api.url, id, 'COMPLETED')));
    await timed(t, 'both are back, the orders that were taken meanwhile complete after', back);
    await allReady();
    await assertEachCompletedOnce(database.url, waiting);
    const errors = [api, relay, worker].flatMap(({ log }) => log.filter(({ level }) => level === 'error'));
    assert.deepEqual(errors, []);
  });
});
