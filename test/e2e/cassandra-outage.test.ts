/** Cassandra falls silent and is killed while orders go on: nobody waits for it, and the history has no gap afterwards. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type OwnCassandra, startOwnCassandra, whyNoCassandra } from '../support/cassandra.ts';
import { placeOrders } from '../support/order-client.ts';
import { assertEachCompletedOnce, countUnfinished } from '../support/orders.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

const skip = (await whyNoCassandra()) ?? false;
/** The history is whole within this time after Cassandra serves again, ms. */
const CATCH_UP_LIMIT_MS = 30_000;
const STEPS = ['order.created', 'order.processing', 'order.completed'];

describe('the history in a Cassandra that fails', { skip, timeout: 240_000 }, () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let node: OwnCassandra;
  let env: Record<string, string>;
  let program: Program;
  let query: Program;

  before(async () => {
    [database, redis, node] = await Promise.all([freshDatabase(), freshRedis(), startOwnCassandra()]);
    env = { DATABASE_URL: database.url, REDIS_URL: redis.url, HISTORY_URL: node.url() };
    program = await startProgram(env);
    query = await startProgram(env, ['query-service']);
  });
  after(async () => {
    await Promise.all([program, query].map((each) => each?.kill()));
    await Promise.all([node.stop(), database.drop(), redis.drop()]);
  });

  const readiness = (of: Program) => request('GET', `${of.url}/readyz`);

  async function stepsOf(id: string): Promise<readonly string[]> {
    const { body } = await request('GET', `${query.url}/ui/orders/${id}/history`);
    return (body.history ?? []).map(({ eventType }: { eventType: string }) => eventType);
  }

  /** Takes Cassandra away while orders are placed; `back` brings it back. */
  async function outage(prefix: string, away: () => unknown, back: () => unknown): Promise<number> {
    const client = placeOrders(() => program.url, { prefix, lanes: 4, dueInMs: () => undefined });
    await until('orders to be placed', () => client.acknowledged.length > 20);
    await away();
    const body = { id: `${prefix}-during`, customer_name: 'Asha', total_price: 5 };
    assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
    await reaches(program.url, body.id, 'COMPLETED');

    await until('query-service to be not ready', async () => {
      const { status, body } = await readiness(query);
      return status === 503 && body.checks.history !== 'ok' && body.checks.postgres === 'ok';
    });
    const all = await until('the other process to report it', async () => {
      const answer = await readiness(program);
      return answer.body.checks.history !== 'ok' && answer;
    });
    assert.equal(all.status, 200, 'a process that takes orders stays ready');
    const history = await request('GET', `${query.url}/ui/orders/${prefix}-during/history`);
    assert.equal(history.status, 503);
    assert.ok(history.headers.get('retry-after'));
    assert.equal((await request('GET', `${query.url}/ui/orders/${prefix}-during`)).status, 200);

    const before = client.acknowledged.length;
    await until('further orders to be placed', () => client.acknowledged.length > before + 20);
    await client.stop();
    await until('every order to complete', async () => (await countUnfinished(database.url)) === 0);
    await back();
    const again = performance.now();
    const ids = [...client.acknowledged, body.id];
    const isWhole = async (id: string) => (await stepsOf(id)).length >= STEPS.length;
    const last = client.acknowledged.at(-1) as string;
    await until(`the history of ${last}`, () => isWhole(last));
    for (const id of ids) await until(`the history of ${id}`, () => isWhole(id));
    const caughtUp = Math.round(performance.now() - again);
    for (const id of ids) assert.deepEqual(await stepsOf(id), STEPS);
    await until('query-service to be ready', async () => (await readiness(query)).status === 200);
    assert.ok(caughtUp < CATCH_UP_LIMIT_MS, `the history was whole after ${caughtUp} ms`);
    await assertEachCompletedOnce(database.url, ids);
    return caughtUp;
  }

  it('while it is silent, orders go on; afterwards the history is whole', async (t) => {
    const ms = await outage(
      'silent',
      () => node.signal('SIGSTOP'),
      () => node.signal('SIGCONT'),
    );
    t.diagnostic(`after it answered again: whole in ${ms} ms`);
  });

  it('when it is killed and started again, nothing is missing', async (t) => {
    const ms = await outage('killed', node.kill, node.restart);
    t.diagnostic(`after it served again: whole in ${ms} ms`);
    const { body } = await request('GET', `${program.url}/admin/dlq`);
    assert.deepEqual(body.deadLetters, []);
  });

  it('a process starts while it is away, and serves the history once it is back', async () => {
    await node.kill();
    await query.stop();
    query = await startProgram(env, ['query-service']);
    assert.equal((await readiness(query)).status, 503);
    await node.restart();
    await until('query-service to be ready', async () => (await readiness(query)).status === 200);
  });
});
