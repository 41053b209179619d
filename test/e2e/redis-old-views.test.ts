/** A Redis that comes back from an older snapshot: its views become those of the orders, which do not change again. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { type Env, type Program, request, startProgram } from '../support/program.ts';
import { freshDatabase } from '../support/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

const ORDERS = 30;
const SOON_MS = 10_000;
const ids = Array.from({ length: ORDERS }, (_, n) => `order-${n}`);
const skip = !hasNativeRedis() && 'there is no redis-server';

describe('a Redis back from an older snapshot', { skip }, () => {
  let redis: OwnRedis;
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let env: Env;
  const running: Program[] = [];

  before(async () => {
    [redis, database] = await Promise.all([startOwnRedis(), freshDatabase()]);
    env = { DATABASE_URL: database.url, REDIS_URL: redis.url };
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((program) => program.kill()));
    await redis.call('FLUSHALL');
  });
  after(() => Promise.all([redis.stop(), database.drop()]));

  async function start(...services: string[]): Promise<Program> {
    const program = await startProgram(env, services);
    running.push(program);
    return program;
  }
  const stored = async (id: string) => JSON.parse(String(await redis.call('GET', `order:${id}`)));
  const isStored = (id: string, status: string) =>
    until(
      `the view of ${id} to be ${status}`,
      async () => (await stored(id))?.view.order.status === status,
      SOON_MS,
    );

  /** Orders whose views are stored, then a snapshot, then the cancellation of every second one. */
  async function cancelAfterSnapshot(program: Program, run: string): Promise<string[]> {
    const placed = ids.map((id) => `${run}-${id}`);
    const scheduled_time = new Date(Date.now() + 3_600_000).toISOString();
    for (const id of placed) {
      const body = { id, customer_name: 'Asha', total_price: 5, scheduled_time };
      assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
    }
    await Promise.all(placed.map((id) => isStored(id, 'CREATED')));
    await redis.call('SAVE');
    const cancelled = placed.filter((_, n) => n % 2 === 0);
    for (const id of cancelled)
      assert.equal((await request('POST', `${program.url}/v1/orders/${id}/cancel`, {})).status, 200);
    await Promise.all(cancelled.map((id) => isStored(id, 'CANCELLED')));
    return placed;
  }
  async function assertCurrent(program: Program, placed: readonly string[]): Promise<void> {
    for (const [n, id] of placed.entries()) {
      const status = n % 2 === 0 ? 'CANCELLED' : 'CREATED';
      await isStored(id, status);
      assert.equal((await request('GET', `${program.url}/ui/orders/${id}`)).body.status, status);
    }
  }

  it('the views are current within seconds, seen from both of two query-services', async () => {
    const program = await start();
    const other = await start('query-service');
    const placed = await cancelAfterSnapshot(program, 'both');
    await redis.kill();
    await redis.start();
    await assertCurrent(program, placed);
    await assertCurrent(other, placed);
    const ends = () =>
      [program, other].map(({ log }) => log.findLast(({ msg }) => msg.startsWith('the views in Redis are')));
    await until('both comparisons', () => ends().every((line) => Number(line?.compared) >= ORDERS));
    assert.ok(ends().some((line) => Number(line?.replaced) > 0));
    for (const { log } of running)
      assert.deepEqual(
        log.filter(({ level }) => level === 'error'),
        [],
      );
  });

  it('the views are current within seconds although every process ended together with Redis', async () => {
    const placed = await cancelAfterSnapshot(await start(), 'all');
    await Promise.all([redis.kill(), ...running.splice(0).map((program) => program.kill())]);
    await redis.start();
    assert.equal((await stored(placed[0] as string)).view.order.status, 'CREATED', 'the snapshot is older');
    const again = await start();
    await assertCurrent(again, placed);
  });
});
