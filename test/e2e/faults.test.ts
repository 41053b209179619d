/** Killed processes and outages of Redis and Postgres: each acknowledged order completes exactly once. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { placeOrders } from '../support/order-client.ts';
import { assertEachCompletedOnce, countUnfinished } from '../support/orders.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

const order = { customer_name: 'Asha', total_price: 12.5 };
const inMs = (ms: number) => ({ scheduled_time: new Date(Date.now() + ms).toISOString() });

describe('faults on the Postgres stream', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let postgresProxy: ServerProxy;
  let redisProxy: ServerProxy;
  let env: Record<string, string>;
  const running = new Set<Program>();

  async function start(services: string[] = []): Promise<Program> {
    const program = await startProgram(env, services);
    running.add(program);
    return program;
  }
  const kill = async (program: Program) => {
    running.delete(program);
    await program.kill();
  };

  beforeEach(async () => {
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    [postgresProxy, redisProxy] = await Promise.all([proxyTo(database.url), proxyTo(redis.url)]);
    env = { DATABASE_URL: postgresProxy.url, REDIS_URL: redisProxy.url, DISPATCH_LEASE_MS: '1000' };
  });
  afterEach(async () => {
    await Promise.all([...running].map((program) => kill(program)));
    await Promise.all([postgresProxy.close(), redisProxy.close()]);
    await Promise.all([database.drop(), redis.drop()]);
  });

  it('a program that is killed repeatedly loses no acknowledged order and completes each order once', async () => {
    let program = await start();
    const client = placeOrders(() => program.url, {
      prefix: 'k',
      lanes: 8,
      dueInMs: () => (randomInt(2) ? randomInt(1_500) : undefined),
    });
    for (let kills = 0; kills < 4; kills++) {
      const before = client.acknowledged.length;
      await until(
        'more orders to be placed',
        () => client.acknowledged.length > before + 100 + randomInt(200),
      );
      await kill(program);
      program = await start();
    }
    await client.stop();
    await until('every order to be completed', async () => (await countUnfinished(database.url)) === 0);
    await assertEachCompletedOnce(database.url, client.acknowledged);
  });

  it('with services in separate processes, each order completes once although one of two schedulers is killed', async () => {
    const [api, scheduler] = await Promise.all([
      start(['order-service', 'event-relay']),
      start(['scheduler-worker']),
      start(['scheduler-worker']),
      start(['processing-service']),
      start(['processing-service']),
    ]);
    const client = placeOrders(() => api.url, { prefix: 's', lanes: 8, dueInMs: () => randomInt(1_000) });
    await until('orders to be placed', () => client.acknowledged.length > 500);
    await kill(scheduler);
    const before = client.acknowledged.length;
    await until('more orders to be placed', () => client.acknowledged.length > before + 200);
    await client.stop();
    await until('every order to be completed', async () => (await countUnfinished(database.url)) === 0);
    await assertEachCompletedOnce(database.url, client.acknowledged);
  });

  it('after Redis has lost its data, the waiting orders are queued again and each completes once', async () => {
    const { url, log } = await start();
    const ids = Array.from({ length: 50 }, (_, n) => `flushed-${n}`);
    await Promise.all(
      ids.map((id, n) => request('POST', `${url}/orders`, { id, ...order, ...inMs(3_000 + n * 10) })),
    );
    // A loss before the first rebuild ends is repaired too, but not logged as a loss.
    await until('the first rebuild', () => log.find(({ msg }) => msg === 'the schedule is complete'));
    await until(
      'all orders to wait',
      async () => (await request('GET', `${url}/scheduler`)).body.waiting === ids.length,
    );
    const direct = new Redis(redis.url);
    await direct.flushdb();
    direct.disconnect();
    await until('the loss to be logged', () =>
      log.find(({ msg }) => msg.startsWith('the schedule was lost')),
    );
    for (const id of ids) await reaches(url, id, 'COMPLETED');
    await assertEachCompletedOnce(database.url, ids);
  });

  it('orders are accepted while Redis is unreachable, and complete once it is back', async () => {
    const { url } = await start();
    await request('POST', `${url}/orders`, { id: 'before', ...order });
    await reaches(url, 'before', 'COMPLETED');
    await redisProxy.cut();
    assert.equal((await request('POST', `${url}/orders`, { id: 'meanwhile', ...order })).status, 201);
    const ready = await until('/readyz to report that Redis is down', async () => {
      const answer = await request('GET', `${url}/readyz`);
      return answer.body.checks.redis !== 'ok' && answer;
    });
    assert.equal(ready.status, 200, 'the program still accepts orders');
    const figures = await (await fetch(`${url}/metrics`)).text();
    assert.match(figures, /^tiffin_check_failing\{check="redis"\} 1$/m);
    assert.match(figures, /^tiffin_check_failing\{check="postgres"\} 0$/m);
    assert.match(figures, /^tiffin_dead_letters_total\{consumer="query-service.views"\} 0$/m);
    assert.equal((await request('GET', `${url}/orders/meanwhile`)).body.status, 'CREATED');
    await redisProxy.restore();
    await reaches(url, 'meanwhile', 'COMPLETED');
    await assertEachCompletedOnce(database.url, ['before', 'meanwhile']);
  });

  it('placing an order returns 503 while Postgres is unreachable, and works again once it is back', async () => {
    const { url } = await start();
    await request('POST', `${url}/orders`, { id: 'waiting', ...order, ...inMs(1_000) });
    await postgresProxy.cut();
    const refused = await request('POST', `${url}/orders`, { id: 'refused', ...order });
    assert.equal(refused.status, 503);
    assert.ok(refused.headers.get('retry-after'));
    assert.equal(refused.body.errors[0].code, 'UNAVAILABLE');
    assert.equal((await request('GET', `${url}/readyz`)).status, 503);
    await postgresProxy.restore();
    await until(
      'placing to work again',
      async () => (await request('POST', `${url}/orders`, { id: 'refused', ...order })).status === 201,
    );
    await reaches(url, 'refused', 'COMPLETED');
    await reaches(url, 'waiting', 'COMPLETED');
    await assertEachCompletedOnce(database.url, ['waiting', 'refused']);
  });

  it('a program stopped by SIGTERM logs no error, exits with code 0 and loses no acknowledged order', async () => {
    const program = await start();
    const client = placeOrders(() => program.url, { prefix: 't', lanes: 4, dueInMs: () => undefined });
    await until('orders to be placed', () => client.acknowledged.length > 100);
    const stopped = program.stop();
    running.delete(program);
    await Promise.all([client.stop(), stopped]);
    assert.equal(await stopped, 0);
    assert.deepEqual(
      program.log.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    );
    await start();
    await until('every order to be completed', async () => (await countUnfinished(database.url)) === 0);
    await assertEachCompletedOnce(database.url, client.acknowledged);
  });

  it('a paused scheduler keeps orders waiting even after Redis has lost its data, and resuming dispatches them', async () => {
    const { url } = await start();
    await until(
      'the scheduler to run',
      async () => (await request('GET', `${url}/scheduler`)).body.state === 'running',
    );
    await request('POST', `${url}/scheduler/pause`);
    await request('POST', `${url}/orders`, { id: 'held', ...order });
    await until('the order to wait', async () => (await request('GET', `${url}/scheduler`)).body.due === 1);
    const direct = new Redis(redis.url);
    await direct.flushdb();
    direct.disconnect();
    await until('the order to wait again', async () => {
      const { body } = await request('GET', `${url}/scheduler`);
      return body.state === 'paused' && body.due === 1;
    });
    assert.equal((await request('GET', `${url}/orders/held`)).body.status, 'CREATED');
    await request('POST', `${url}/scheduler/resume`);
    await reaches(url, 'held', 'COMPLETED');
  });
});
