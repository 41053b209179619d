/** Readiness in each fault: a process is not ready exactly when it cannot do its work, and is ready again afterwards. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { type Disk, mountDisk, whyNoDisk } from '../support/disk.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { proxyTo, type ServerProxy } from '../support/proxy.ts';
import { redisStates } from '../support/redis-states.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

/** A fault is reported, and its end noticed, within this time, ms; events count as held back after ten seconds. */
const NOTICED_MS = 20_000;

/** Readiness counts if it stays so for this time, ms: all connections may be replaced at once. */
const STAYS_MS = 300;

/** A probe is answered within this time, ms, whatever is silent; only a process that can do nothing at all gives none. */
const PROBE_LIMIT_MS = 4_000;

/** Of Postgres's disk, which only as much is taken of as is written to it. */
const DISK_MB = 1_000;
const noDisk = whyNoDisk();

/** For one order it never settles; for another one it lets the process do nothing for ten seconds. */
const LOGIC = `export default async ({ id }) => {
  if (id === 'endless') await new Promise(() => {});
  if (id === 'blocking') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
};`;

const SERVICES = [
  'order-service',
  'scheduler-worker',
  'processing-service',
  'query-service',
  'pricing-service',
];
/** Orders are taken while only Redis is away, and their work waits; prices need neither server. */
const WITHOUT_POSTGRES = ['pricing-service'];
const WITHOUT_STREAM = ['order-service', 'pricing-service'];
const WITHOUT_REDIS = ['order-service', 'processing-service', 'pricing-service'];

describe('readiness', { skip: !hasNativeRedis() && 'there is no redis-server' }, () => {
  let redis: OwnRedis;
  let postgres: OwnPostgres;
  let disk: Disk | undefined;
  let admin: pg.Client;
  let postgresProxy: ServerProxy;
  let redisProxy: ServerProxy;
  const programs = new Map<string, Program>();
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tiffin-readiness-'));

  before(async () => {
    fs.chmodSync(dir, 0o755); // Postgres is another user
    if (!noDisk) disk = mountDisk(path.join(dir, 'disk'), DISK_MB);
    [redis, postgres] = await Promise.all([startOwnRedis(), startOwnPostgres({}, disk?.dir)]);
    [postgresProxy, redisProxy] = await Promise.all([proxyTo(postgres.url), proxyTo(redis.url)]);
    admin = new pg.Client({ connectionString: postgres.url });
    await admin.connect();
    const logic = path.join(dir, 'logic.mjs');
    fs.writeFileSync(logic, LOGIC);
    const env = {
      DATABASE_URL: postgresProxy.url,
      REDIS_URL: redisProxy.url,
      ORDER_LOGIC: logic,
      ORDER_LOGIC_TIMEOUT_MS: '500',
    };
    for (const service of SERVICES) programs.set(service, await startProgram(env, [service]));
  });
  after(async () => {
    await Promise.all([...programs.values()].map((program) => program.kill()));
    await admin.end();
    await Promise.all([postgresProxy.close(), redisProxy.close(), redis.stop(), postgres.stop()]);
    disk?.unmount();
    fs.rmSync(dir, { recursive: true });
  });

  const place = (id: string) =>
    request('POST', `${programs.get('order-service')?.url}/orders`, {
      id,
      customer_name: 'Asha',
      total_price: 5,
    });

  async function readyServices(mute?: string): Promise<string[]> {
    const answers = await Promise.all(
      [...programs].map(async ([service, { url }]) => ({
        service,
        status: await request(
          'GET',
          `${url}/readyz`,
          undefined,
          {},
          AbortSignal.timeout(PROBE_LIMIT_MS),
        ).then(
          ({ status }) => status,
          () => undefined,
        ),
      })),
    );
    for (const { service, status } of answers)
      assert.ok(
        status === 200 || status === 503 || (status === undefined && service === mute),
        `${service} answers ${status}`,
      );
    return answers.filter(({ status }) => status === 200).map(({ service }) => service);
  }

  /** Waits until these services are ready and no others, and stay so. */
  async function onlyReady(expected: readonly string[], mute?: string): Promise<void> {
    let found: string[] = [];
    let since: number | undefined;
    await until(
      'readiness to be right',
      async () => {
        found = await readyServices(mute);
        if (found.join() !== expected.join()) since = undefined;
        else since ??= performance.now();
        return since !== undefined && performance.now() - since > STAYS_MS;
      },
      NOTICED_MS,
    ).catch((error: Error) => assert.equal(found.join(), expected.join(), error.message));
  }

  const name = () => new URL(postgres.url).pathname.slice(1);
  const endOthers = () =>
    admin.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
      [name()],
    );
  const faults: Record<
    string,
    {
      ready: string[];
      skip?: string | undefined;
      /** A service whose probe may have no answer. */
      mute?: string;
      begin: () => Promise<unknown>;
      end: () => Promise<unknown>;
    }
  > = {
    'Postgres is away': {
      ready: WITHOUT_POSTGRES,
      begin: () => postgresProxy.cut(),
      end: () => postgresProxy.restore(),
    },
    'Postgres is silent': {
      ready: WITHOUT_POSTGRES,
      async begin() {
        postgresProxy.vanish();
      },
      async end() {
        postgresProxy.reappear();
      },
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
    'the disk of Postgres is full': {
      ready: WITHOUT_POSTGRES,
      skip: noDisk,
      begin: async () => disk?.fill(),
      end: async () => disk?.free(),
    },
    'a transaction of another program locks the orders': {
      ready: WITHOUT_POSTGRES,
      async begin() {
        await admin.query('BEGIN');
        await admin.query('LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
      },
      end: () => admin.query('ROLLBACK'),
    },
    'a transaction of another program holds back events': {
      ready: WITHOUT_STREAM,
      async begin() {
        await admin.query('BEGIN');
        await admin.query('SELECT pg_current_xact_id()');
        await place('held');
      },
      end: () => admin.query('ROLLBACK'),
    },
    'the order logic never settles for an order, and others complete': {
      ready: SERVICES,
      async begin() {
        await place('endless');
        await place('another');
        await reaches(programs.get('order-service')!.url, 'another', 'COMPLETED');
      },
      async end() {},
    },
    'the order logic lets its process do nothing': {
      ready: SERVICES.filter((service) => service !== 'processing-service'),
      mute: 'processing-service',
      begin: () => place('blocking'),
      async end() {},
    },
    'Redis is away': { ready: WITHOUT_REDIS, begin: () => redisProxy.cut(), end: () => redisProxy.restore() },
    'Redis lets nothing be scheduled': {
      ready: [...SERVICES.filter((service) => service !== 'scheduler-worker')],
      begin: () => redis.call('ACL', 'SETUSER', 'default', '-zadd'),
      end: () => redis.call('ACL', 'SETUSER', 'default', '+@all'),
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
  for (const [state, { set, reset }] of Object.entries(redisStates(() => redis)))
    faults[`Redis answers ${state}`] = { ready: WITHOUT_REDIS, begin: set, end: reset };

  for (const [fault, { ready, skip, mute, begin, end }] of Object.entries(faults))
    it(`while ${fault}, ready are only ${ready.join(', ')}; afterwards all are`, {
      skip: skip ?? false,
    }, async (t) => {
      const noticed = async (what: string, expected: readonly string[]) => {
        const since = performance.now();
        await onlyReady(expected, mute);
        t.diagnostic(`${what} after ${((performance.now() - since) / 1_000).toFixed(1)} s`);
      };
      await onlyReady(SERVICES);
      try {
        await begin();
        await noticed('noticed', ready);
      } finally {
        await end();
      }
      await noticed('over', SERVICES);
    });
});
