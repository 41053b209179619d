/** Readiness in each fault: a process is not ready exactly when it cannot do its work, and is ready again afterwards. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { type Program, request, startProgram } from '../support/program.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { freshDatabase } from '../support/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

/** A fault is reported, and its end noticed, within this time, ms. */
const NOTICED_MS = 10_000;

const SERVICES = [
  'order-service',
  'scheduler-worker',
  'processing-service',
  'query-service',
  'pricing-service',
];
/** Orders are taken while only Redis is away, and their work waits; prices need neither server. */
const WITHOUT_POSTGRES = ['pricing-service'];
const WITHOUT_REDIS = ['order-service', 'processing-service', 'pricing-service'];

describe('readiness', { skip: !hasNativeRedis() && 'there is no redis-server' }, () => {
  let redis: OwnRedis;
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let admin: pg.Client;
  let postgresProxy: ServerProxy;
  let redisProxy: ServerProxy;
  const programs = new Map<string, Program>();

  before(async () => {
    [redis, database] = await Promise.all([startOwnRedis(), freshDatabase()]);
    [postgresProxy, redisProxy] = await Promise.all([proxyTo(database.url), proxyTo(redis.url)]);
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    const env = { DATABASE_URL: postgresProxy.url, REDIS_URL: redisProxy.url };
    for (const service of SERVICES) programs.set(service, await startProgram(env, [service]));
  });
  after(async () => {
    await Promise.all([...programs.values()].map((program) => program.kill()));
    await admin.end();
    await Promise.all([postgresProxy.close(), redisProxy.close(), redis.stop()]);
    await database.drop();
  });

  async function readyServices(): Promise<string[]> {
    const answers = await Promise.all(
      [...programs].map(async ([service, { url }]) => ({
        service,
        ...(await request('GET', `${url}/readyz`)),
      })),
    );
    for (const { status } of answers) assert.ok([200, 503].includes(status), String(status));
    return answers.filter(({ status }) => status === 200).map(({ service }) => service);
  }

  /** Waits until these services are ready and no others. */
  async function onlyReady(expected: readonly string[]): Promise<void> {
    let found: string[] = [];
    await until(
      'readiness to be right',
      async () => {
        found = await readyServices();
        return found.join() === expected.join();
      },
      NOTICED_MS,
    ).catch((error: Error) => assert.equal(found.join(), expected.join(), error.message));
  }

  const name = () => new URL(database.url).pathname.slice(1);
  const endOthers = () =>
    admin.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
      [name()],
    );
  const faults: Record<
    string,
    { ready: string[]; begin: () => Promise<unknown>; end: () => Promise<unknown> }
  > = {
    'Postgres is away': {
      ready: WITHOUT_POSTGRES,
      begin: () => postgresProxy.cut(),
      end: () => postgresProxy.restore(),
    },
    'Postgres accepts no writes': {
      ready: WITHOUT_POSTGRES,
      async begin() {
        await admin.query(`ALTER DATABASE ${name()} SET default_transaction_read_only = on`);
        await endOthers();
      },
      async end() {
        await admin.query('SET default_transaction_read_only = off');
        await admin.query(`ALTER DATABASE ${name()} RESET default_transaction_read_only`);
      },
    },
    'a transaction of another program locks the orders': {
      ready: WITHOUT_POSTGRES,
      async begin() {
        await admin.query('BEGIN');
        await admin.query('LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
      },
      end: () => admin.query('ROLLBACK'),
    },
    'Redis is away': { ready: WITHOUT_REDIS, begin: () => redisProxy.cut(), end: () => redisProxy.restore() },
    'Redis refuses writes': {
      ready: WITHOUT_REDIS,
      begin: () => redis.call('CONFIG', 'SET', 'min-replicas-to-write', '1'),
      end: () => redis.call('CONFIG', 'SET', 'min-replicas-to-write', '0'),
    },
    'Redis has become a replica': {
      ready: WITHOUT_REDIS,
      begin: () => redis.call('REPLICAOF', '127.0.0.1', '1'),
      end: () => redis.call('REPLICAOF', 'NO', 'ONE'),
    },
    'Redis is silent': {
      ready: WITHOUT_REDIS,
      async begin() {
        redis.freeze();
      },
      async end() {
        redis.thaw();
      },
    },
  };

  for (const [fault, { ready, begin, end }] of Object.entries(faults))
    it(`while ${fault}, ready are only ${ready.join(', ')}; afterwards all are`, async () => {
      await onlyReady(SERVICES);
      await begin();
      await onlyReady(ready);
      await end();
      await onlyReady(SERVICES);
    });
});
