/** examples/order-logic, run by a real Tiffin. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Program, reaches, request, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

/** Instead of a status: the risk service closes the connection without an answer. */
const CLOSED = 0;

describe('the example of order logic', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let redis: Awaited<ReturnType<typeof freshRedis>>;
  let program: Program;
  let risk: Server;
  let statusOfRisk: number = 200;
  let questions = 0;

  before(async () => {
    risk = createServer(({ url }, response) => {
      questions += 1;
      if (statusOfRisk === CLOSED) return void response.destroy();
      response.writeHead(url?.includes('Mallory') ? 403 : statusOfRisk).end();
    }).listen(0, '127.0.0.1');
    await once(risk, 'listening');
    [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    program = await startProgram({
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      ORDER_LOGIC: 'examples/order-logic/logic.mjs',
      RISK_URL: `http://127.0.0.1:${(risk.address() as AddressInfo).port}`,
    });
  });
  after(async () => {
    await program?.stop();
    risk.close();
    await Promise.all([database.drop(), redis.drop()]);
  });

  const place = (id: string, customer_name: string, total_price: number) =>
    request('POST', `${program.url}/orders`, { id, customer_name, total_price });
  /** The view follows the order within a moment. */
  const reasonOf = (id: string) =>
    until(
      `the reason of ${id}`,
      async () => (await request('GET', `${program.url}/ui/orders/${id}`)).body.reason,
    );

  it('completes an order that it accepts', async () => {
    await place('small', 'Asha', 1_000);
    await reaches(program.url, 'small', 'COMPLETED');
  });

  it('fails a large order and a refused customer, each with its reason', async () => {
    await Promise.all([place('large', 'Asha', 1_000.01), place('refused', 'Mallory', 10)]);
    for (const id of ['large', 'refused']) await reaches(program.url, id, 'FAILED');
    assert.deepEqual(
      [await reasonOf('large'), await reasonOf('refused')],
      ['TOO_EXPENSIVE', 'CUSTOMER_REFUSED'],
    );
  });

  const outages = [
    ['answers 503', 503],
    ['closes the connection', CLOSED],
  ] as const;
  for (const [outage, status] of outages)
    it(`retries an order while the risk service ${outage}`, async () => {
      statusOfRisk = status;
      const before = questions;
      await place(`patient-${status}`, 'Asha', 10);
      await until('the risk service to be asked again', () => questions > before + 1);
      statusOfRisk = 200;
      await reaches(program.url, `patient-${status}`, 'COMPLETED');
    });
});
