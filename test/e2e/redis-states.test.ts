/** A Redis that reports a state of its own instead of working: no order and no deadline is lost, and nothing becomes a dead letter. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { redisStates } from '../support/redis-states.ts';
import { freshDatabase } from '../support/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

/** Long enough for a fault that is not transient to become a dead letter after its three attempts. */
const STATE_MS = 1_500;

const skip = !hasNativeRedis() && 'there is no redis-server';

describe('a Redis that reports its own state', { skip }, () => {
  let redis: OwnRedis;
  let program: Program;
  let database: Awaited<ReturnType<typeof freshDatabase>>;

  before(async () => {
    [redis, database] = await Promise.all([startOwnRedis(), freshDatabase()]);
    program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url });
  });
  after(async () => {
    await program.kill();
    await Promise.all([redis.stop(), database.drop()]);
  });

  for (const [name, { set, reset }] of Object.entries(redisStates(() => redis))) {
    it(`orders that are placed while Redis answers ${name} complete afterwards, and none becomes a dead letter`, async () => {
      await set();
      const ids = [0, 1, 2].map((n) => `${name}-${n}`);
      for (const [n, id] of ids.entries()) {
        const scheduled = n === 0 ? {} : { scheduled_time: new Date(Date.now() + 500 * n).toISOString() };
        const body = { id, customer_name: 'Asha', total_price: 5, ...scheduled };
        assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
      }
      await wait(STATE_MS);
      await reset();
      for (const id of ids) await reaches(program.url, id, 'COMPLETED');
      const letters = await request('GET', `${program.url}/admin/dlq`);
      assert.deepEqual(letters.body.deadLetters, []);
      assert.deepEqual(
        program.log.filter(({ level }) => level === 'error' || level === 'fatal'),
        [],
      );
    });
  }
});

describe('a Redis behind one address', { skip }, () => {
  let servers: OwnRedis[];
  let proxy: ServerProxy;
  let program: Program;
  let database: Awaited<ReturnType<typeof freshDatabase>>;

  beforeEach(async () => {
    [servers, database] = await Promise.all([
      Promise.all([startOwnRedis(), startOwnRedis()]),
      freshDatabase(),
    ]);
    proxy = await proxyTo(servers[0]!.url);
    program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: proxy.url });
  });
  afterEach(async () => {
    await program.kill();
    await proxy.close();
    await Promise.all([...servers.map((server) => server.stop()), database.drop()]);
  });

  const place = (id: string, inMs: number) =>
    request('POST', `${program.url}/orders`, {
      id,
      customer_name: 'Asha',
      total_price: 5,
      scheduled_time: new Date(Date.now() + inMs).toISOString(),
    });

  it('after a failover that leaves connections to the old primary open, orders are dispatched by the new primary', async () => {
    const [primary, replica] = servers as [OwnRedis, OwnRedis];
    await replica.call('REPLICAOF', '127.0.0.1', new URL(primary.url).port);
    await until('the replica to be in step', async () =>
      String(await replica.call('INFO', 'replication')).includes('master_link_status:up'),
    );
    await place('before', 2_000);
    await until('the order to be replicated', async () => Number(await replica.call('DBSIZE')) > 1);
    await replica.call('REPLICAOF', 'NO', 'ONE');
    proxy.leadTo(replica.url);
    await primary.call('REPLICAOF', '127.0.0.1', new URL(replica.url).port);
    await place('after', 500);
    await reaches(program.url, 'before', 'COMPLETED');
    await reaches(program.url, 'after', 'COMPLETED');
  });

  it('a connection that falls silent is replaced, and reads do not wait for it', async () => {
    await place('before', 3_000);
    await reaches(program.url, 'before', 'CREATED').catch(() => undefined);
    proxy.silence();
    const started = performance.now();
    assert.equal((await request('GET', `${program.url}/v1/orders/before`)).status, 200);
    const waited = performance.now() - started;
    assert.ok(waited < 1_000, `the read took ${waited} ms`);
    await place('after', 500);
    await reaches(program.url, 'before', 'COMPLETED');
    await reaches(program.url, 'after', 'COMPLETED');
  });
});
