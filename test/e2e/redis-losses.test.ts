/** A Redis that loses a part of the schedule: orders, new due times and deadlines all come back at once. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase } from '../support/servers.ts';
import { hasNativeRedis } from '../support/start-servers.ts';
import { until } from '../support/until.ts';

const DUE = 'tiffin:{s00}:due';
const HOUR_MS = 3_600_000;
/** From the loss until a deadline or an order is due; and how long after that time it may take effect. */
const AHEAD_MS = 6_000;
const LATE_MS = 15_000;

const skip = !hasNativeRedis() && 'there is no redis-server';

describe('a Redis that loses a part of the schedule', { skip }, () => {
  let redis: OwnRedis;
  let program: Program;
  let database: Awaited<ReturnType<typeof freshDatabase>>;

  beforeEach(async () => {
    [redis, database] = await Promise.all([startOwnRedis(), freshDatabase()]);
    program = await startProgram({
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      DEADLINE_ACCEPTANCE_S: String(AHEAD_MS / 1_000),
    });
    await until('the first rebuild', () => program.log.find(({ msg }) => msg === 'the schedule is complete'));
  });
  afterEach(async () => {
    await program.kill();
    await Promise.all([redis.stop(), database.drop()]);
  });

  const at = (ms: number) => new Date(Date.now() + ms).toISOString();
  const place = async (id: string, inMs: number) => {
    const body = { id, customer_name: 'Asha', total_price: 5, scheduled_time: at(inMs) };
    assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
  };
  const isQueued = (member: string) =>
    until(`${member} to be queued`, async () => redis.call('ZSCORE', DUE, member));

  /** An order that its restaurant does not answer, once its deadline is queued. */
  async function placeUnanswered(): Promise<string> {
    const placed = await request('POST', `${program.url}/v1/orders`, {
      customerId: 'CUST-123',
      restaurantId: 'REST-456',
      items: [{ itemId: 'PIZZA-001', quantity: 1 }],
      deliveryAddress: { street: '2510 Lagoon Way', city: 'Anytown', state: 'CA', zipCode: '12345' },
    });
    const id = placed.body.orderId as string;
    await until('the order to be confirmed', async () => (await statusOf(id)) === 'CONFIRMED');
    await until('its deadline to be that of the restaurant', async () => {
      const dueAt = Number(await redis.call('ZSCORE', DUE, `deadline:${id}`));
      return dueAt > Date.now() && dueAt <= Date.now() + AHEAD_MS;
    });
    return id;
  }
  const statusOf = async (id: string) => (await request('GET', `${program.url}/ui/orders/${id}`)).body.status;
  const rejected = (id: string) =>
    until(
      'the deadline to end the order',
      async () => (await request('GET', `${program.url}/v1/orders/${id}`)).body.status === 'REJECTED',
      AHEAD_MS + LATE_MS,
    );
  const lossIsLogged = () =>
    until('the loss to be logged', () =>
      program.log.find(({ msg }) => msg.startsWith('the schedule was lost')),
    );

  it('after a restart from an older snapshot, orders, new due times and deadlines take effect in time', async () => {
    await place('moved', HOUR_MS);
    await isQueued('order:moved');
    await redis.call('SAVE');
    const unanswered = await placeUnanswered();
    await place('later', AHEAD_MS);
    await isQueued('order:later');
    const moved = await request('PATCH', `${program.url}/v1/orders/moved/schedule`, {
      scheduledAt: at(AHEAD_MS),
    });
    assert.equal(moved.status, 200);
    await until(
      'the new time to be queued',
      async () => Number(await redis.call('ZSCORE', DUE, 'order:moved')) < Date.now() + HOUR_MS / 2,
    );
    await redis.kill();
    await redis.start();
    assert.equal(await redis.call('ZSCORE', DUE, 'order:later'), null, 'the snapshot is older');
    await lossIsLogged();
    await rejected(unanswered);
    await Promise.all([
      reaches(program.url, 'later', 'COMPLETED'),
      reaches(program.url, 'moved', 'COMPLETED'),
    ]);
  });

  it('after the due set was deleted while its state stands, orders and deadlines take effect in time', async () => {
    const unanswered = await placeUnanswered();
    await place('later', AHEAD_MS);
    await isQueued('order:later');
    await redis.call('DEL', DUE);
    await lossIsLogged();
    await rejected(unanswered);
    await reaches(program.url, 'later', 'COMPLETED');
  });
});
