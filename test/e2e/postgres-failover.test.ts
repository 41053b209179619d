/** A primary is killed and its standby promoted: Tiffin, which knows both hosts, goes on at the new primary. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type OrderClient, placeOrders } from '../support/order-client.ts';
import { assertEachCompletedOnce, countUnfinished } from '../support/orders.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { proxyTo } from '../support/proxy.ts';
import { freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

/** Orders complete again within this time after the promotion, ms. */
const RECOVERY_LIMIT_MS = 10_000;
/** And after the primary fell silent, which only a time limit shows. */
const SILENT_LIMIT_MS = 15_000;

describe('a failover of Postgres to another host', { timeout: 240_000 }, () => {
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let primary: OwnPostgres;
  let standby: OwnPostgres;
  let programs: Program[];
  let client: OrderClient | undefined;

  beforeEach(async () => {
    client = undefined;
    programs = [];
    redis = await freshRedis();
    primary = await startOwnPostgres();
    standby = await primary.standby();
  });
  afterEach(async () => {
    await client?.stop();
    await Promise.all(programs.map((program) => program.kill()));
    await Promise.all([primary.stop(), standby.stop(), redis.drop()]);
  });

  /** Starts a program that knows these hosts. */
  async function start(...hosts: string[]): Promise<Program> {
    const url = `postgres://tiffin:tiffin@${hosts.join()}/tiffin`;
    const program = await startProgram({ DATABASE_URL: url, REDIS_URL: redis.url });
    programs.push(program);
    return program;
  }

  async function replicateSynchronously(): Promise<void> {
    await primary.query(`ALTER SYSTEM SET synchronous_standby_names = '*'`);
    await primary.query('SELECT pg_reload_conf()');
  }

  const readiness = (program: Program) => request('GET', `${program.url}/readyz`);
  const place = (program: Program, id: string) =>
    request('POST', `${program.url}/orders`, { id, customer_name: 'Asha', total_price: 5 });

  function placeAtBoth(): OrderClient {
    let turn = 0;
    return placeOrders(() => (programs[turn++ % programs.length] as Program).url, {
      prefix: 'f',
      lanes: 4,
      dueInMs: () => (turn % 3 ? undefined : 2_000),
    });
  }

  it('with synchronous replication nothing acknowledged is lost, and orders complete again within seconds', async (t) => {
    for (let n = 0; n < 2; n++) await start(standby.host, primary.host);
    await replicateSynchronously();
    client = placeAtBoth();
    await until('orders to be placed', () => client!.acknowledged.length > 100);

    await primary.kill();
    await until('both to be not ready', async () => {
      const all = await Promise.all(programs.map(readiness));
      return all.every(({ status }) => status === 503);
    });
    const { body } = await readiness(programs[0] as Program);
    assert.match(body.checks.postgres, /no server takes writes \(.*: is a standby; .*ECONNREFUSED.*\)/);
    const before = client.acknowledged.length;
    const promoted = performance.now();
    const since = () => Math.round(performance.now() - promoted);
    await standby.query('SELECT pg_promote()');
    await until('an order to be accepted', () => client!.acknowledged.length > before);
    const accepted = since();
    await until('both to be ready', async () =>
      (await Promise.all(programs.map(readiness))).every(({ status }) => status === 200),
    );
    const ready = since();
    await place(programs[0] as Program, 'after');
    await reaches((programs[1] as Program).url, 'after', 'COMPLETED');
    const completed = since();
    t.diagnostic(`after pg_promote(): accepted ${accepted} ms, ready ${ready} ms, completed ${completed} ms`);
    assert.ok(completed < RECOVERY_LIMIT_MS, `${completed} ms`);

    await client.stop();
    await until('every order to complete', async () => (await countUnfinished(standby.url)) === 0);
    await assertEachCompletedOnce(standby.url, client.acknowledged);
    for (const { log } of programs)
      assert.deepEqual(
        log.filter(({ level }) => level === 'error' || level === 'fatal'),
        [],
      );
  });

  it('with asynchronous replication the orders that the standby lacks are lost, and every later one is processed', async () => {
    for (let n = 0; n < 2; n++) await start(primary.host, standby.host);
    const [one, other] = programs as [Program, Program];
    await place(one, 'kept');
    await reaches(other.url, 'kept', 'COMPLETED');
    await until('the standby to have it', async () => {
      const { rows } = await standby.query(
        `SELECT FROM orders WHERE order_id = 'kept' AND status = 'COMPLETED'`,
      );
      return rows.length === 1;
    });
    // From here on the standby gets nothing, so that the readers of the log move on to positions that it never had.
    await standby.query(`ALTER SYSTEM SET primary_conninfo = ''`);
    await standby.query('SELECT pg_reload_conf()');
    await until('the standby to be alone', async () => {
      const { rows } = await primary.query('SELECT FROM pg_stat_replication');
      return rows.length === 0;
    });
    for (let n = 0; n < 30; n++) await place(one, `lost-${n}`);
    for (let n = 0; n < 30; n++) await reaches(other.url, `lost-${n}`, 'COMPLETED');

    await primary.kill();
    await standby.query('SELECT pg_promote()');
    client = placeAtBoth();
    await until('orders to be placed', () => client!.acknowledged.length > 50);
    await client.stop();
    await until('every order to complete', async () => (await countUnfinished(standby.url)) === 0);
    await assertEachCompletedOnce(standby.url, ['kept', ...client.acknowledged]);
    const { rows } = await standby.query(`SELECT FROM orders WHERE order_id LIKE 'lost-%'`);
    assert.equal(rows.length, 0, 'the test lost what the standby lacked');
  });

  it('a primary that falls silent is left for the promoted standby by every connection within seconds', async (t) => {
    const proxy = await proxyTo(primary.url);
    await replicateSynchronously();
    // Accepts connections and never answers.
    const nobody = createServer().listen(0, '127.0.0.1');
    const program = await start(new URL(proxy.url).host, standby.host);
    try {
      await place(program, 'before');
      await reaches(program.url, 'before', 'COMPLETED');
      proxy.silence();
      proxy.leadTo(`tcp://127.0.0.1:${(nobody.address() as AddressInfo).port}`);
      const silent = performance.now();
      await standby.query('SELECT pg_promote()');
      await until('an order to be accepted', async () => (await place(program, 'after')).status === 201);
      await until('the program to be ready', async () => (await readiness(program)).status === 200);
      await reaches(program.url, 'after', 'COMPLETED');
      const took = Math.round(performance.now() - silent);
      t.diagnostic(`after the primary fell silent: completed ${took} ms`);
      assert.ok(took < SILENT_LIMIT_MS, `${took} ms`);
    } finally {
      await proxy.close();
      nobody.close();
    }
  });

  it('the old primary that comes back still writable is refused, even while it is the only one that answers', async () => {
    const program = await start(primary.host, standby.host);
    await place(program, 'before');
    await reaches(program.url, 'before', 'COMPLETED');
    await primary.kill();
    await standby.query('SELECT pg_promote()');
    await until('an order to be accepted', async () => (await place(program, 'after')).status === 201);
    await primary.start();
    await standby.kill();
    const fault = await until('the old primary to be refused', async () => {
      const { status, body } = await readiness(program);
      return status === 503 && /was the primary before a failover/.exec(body.checks.postgres)?.input;
    });
    assert.match(fault, /timeline 1, and 2 was seen/);
    assert.equal((await place(program, 'lost')).status, 503);
    await standby.start();
    await until('the program to be ready', async () => (await readiness(program)).status === 200);
    await reaches(program.url, 'after', 'COMPLETED');
  });
});
