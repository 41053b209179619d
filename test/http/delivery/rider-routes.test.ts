/** The riders' routes on a real Postgres: access, refusals and effects. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { jwtAuth } from '../../../internal/transport/http/auth.ts';
import { riderRoutes } from '../../../internal/transport/http/routes/delivery/rider-routes.ts';
import { type RiderTown, riderTown } from '../../support/riders.ts';
import { type Answer, type Api, startApi } from '../api.ts';
import { bearer, SECRET } from '../tokens.ts';

const RAVI = { name: 'Ravi', onDuty: true, location: { lat: 18.97, lng: 72.81 }, capacity: 2 };

describe('the routes of riders', () => {
  let town: RiderTown;
  let api: Api;
  let operator: { authorization: string };
  let ravi: { authorization: string };
  const moved: string[] = [];
  const routes = () => riderRoutes({ ...town, riderMoves: { tell: (id) => moved.push(id) } });
  before(async () => {
    town = await riderTown();
    api = await startApi({ more: routes(), authenticate: jwtAuth({ secret: SECRET }) });
    [operator, ravi] = await Promise.all([bearer('olga', 'operator'), bearer('ravi', 'rider')]);
  });
  after(async () => {
    await api.close();
    await town.close();
  });
  beforeEach(() => town.clear());

  const ask = (method: string, path: string, body?: unknown, headers = operator) =>
    api.ask(method, path, { body, headers });
  const now = (ms = 0) => new Date(town.clock.now() + ms).toISOString();
  const report = (status: string, changes: object = {}, { rider = 'ravi', order = 'a' } = {}) =>
    ask('PATCH', `/v1/riders/${rider}/orders/${order}`, { status, timestamp: now(), ...changes });
  const codes = (answer: Answer) => [
    answer.status,
    ...answer.body.errors.map(({ code }: { code: string }) => code),
  ];

  async function assigned(...ids: string[]) {
    await ask('PUT', '/v1/riders/ravi', RAVI);
    await town.seed('ACCEPTED', ids);
    await town.deliver(...ids.map(town.requested));
  }

  it('a rider is registered and changed with PUT', async () => {
    const made = await ask('PUT', '/v1/riders/ravi', RAVI, ravi);
    assert.deepEqual([made.status, made.body], [200, { riderId: 'ravi', ...RAVI, carrying: 0 }]);
    const off = await ask('PUT', '/v1/riders/ravi', { name: 'Ravi', onDuty: false });
    assert.deepEqual(off.body, { riderId: 'ravi', ...RAVI, onDuty: false, carrying: 0 });
  });

  const WRONG: readonly [what: string, path: string, body: object, code: string][] = [
    ['no name', 'ravi', { onDuty: true }, 'INVALID_NAME'],
    ['a fractional capacity', 'ravi', { ...RAVI, capacity: 1.5 }, 'INVALID_CAPACITY'],
    ['a capacity of zero', 'ravi', { ...RAVI, capacity: 0 }, 'INVALID_CAPACITY'],
    ['a latitude beyond the pole', 'ravi', { ...RAVI, location: { lat: 91, lng: 0 } }, 'INVALID_LOCATION'],
    ['a location without a longitude', 'ravi', { ...RAVI, location: { lat: 1 } }, 'INVALID_LOCATION'],
    ['an invalid id', '%20', RAVI, 'INVALID_RIDER_ID'],
  ];
  for (const [what, id, body, code] of WRONG) {
    it(`a rider with ${what} is refused`, async () => {
      assert.deepEqual(codes(await ask('PUT', `/v1/riders/${id}`, body)), [400, code]);
    });
  }

  it('the newest position of a rider is stored, and one from the future or of an unknown rider is refused', async () => {
    await ask('PUT', '/v1/riders/ravi', RAVI);
    const moved = await ask('POST', '/v1/riders/ravi/position', { lat: 19, lng: 73 }, ravi);
    assert.deepEqual([moved.status, moved.text], [204, '']);
    const late = { lat: 1, lng: 1, timestamp: now(-1_000) };
    assert.equal((await ask('POST', '/v1/riders/ravi/position', late)).status, 204);
    assert.deepEqual((await town.riders.find(['ravi']))[0]?.place, [19, 73]);
    const ahead = { ...late, timestamp: now(60_001) };
    assert.deepEqual(codes(await ask('POST', '/v1/riders/ravi/position', ahead)), [400, 'INVALID_TIMESTAMP']);
    const unknown = await ask('POST', '/v1/riders/nobody/position', { lat: 19, lng: 73 });
    assert.deepEqual(codes(unknown), [404, 'RIDER_NOT_FOUND']);
  });

  it('a rider lists their assigned and carried orders, each with its pickup and dropoff', async () => {
    await assigned('a', 'b');
    await report('PICKED_UP', {}, { order: 'b' });
    const { status, body } = await ask('GET', '/v1/riders/ravi/orders', undefined, ravi);
    assert.equal(status, 200);
    const [first, second] = body.orders;
    assert.deepEqual([first.orderId, first.status, second.status], ['a', 'ASSIGNED', 'PICKED_UP']);
    assert.deepEqual(first.pickup, {
      restaurantId: 'r1',
      name: 'Tardeo Tiffins',
      address: '1 Tardeo Road',
      location: { lat: 18.97, lng: 72.81 },
    });
    assert.equal(first.dropoff.address.zipCode, '400020');
    assert.ok(Date.parse(first.eta) > town.clock.now());
    assert.deepEqual((await ask('GET', '/v1/riders/nobody/orders')).status, 404);
    await ask('PUT', '/v1/riders/idle', RAVI);
    assert.deepEqual((await ask('GET', '/v1/riders/idle/orders')).body, { orders: [] });
  });

  it('a pickup and a delivery take effect once, and each report is answered 204 and stores its location', async () => {
    await assigned('a');
    const location = { lat: 18.98, lng: 72.82 };
    for (const status of ['PICKED_UP', 'PICKED_UP', 'DELIVERED', 'DELIVERED', 'PICKED_UP']) {
      const answer = await report(status, { location });
      assert.deepEqual([answer.status, answer.text], [204, '']);
    }
    assert.equal(await town.status('a'), 'DELIVERED');
    assert.deepEqual((await town.riders.find(['ravi']))[0]?.place, [18.98, 72.82]);
    assert.equal((await town.announced()).filter((type) => type === 'delivery.delivered').length, 1);
  });

  it('a report is refused if its order was not picked up, has another rider, or was cancelled', async () => {
    await assigned('a');
    await ask('PUT', '/v1/riders/asha', RAVI);
    assert.deepEqual(codes(await report('DELIVERED')), [409, 'NOT_PICKED_UP']);
    assert.deepEqual(codes(await report('PICKED_UP', {}, { rider: 'asha' })), [409, 'RIDER_NOT_ON_ORDER']);
    assert.deepEqual(codes(await report('PICKED_UP', {}, { rider: 'nobody' })), [404, 'RIDER_NOT_FOUND']);
    assert.deepEqual(codes(await report('PICKED_UP', {}, { rider: '%00' })), [404, 'RIDER_NOT_FOUND']);
    await town.cancel('a');
    assert.deepEqual(codes(await report('PICKED_UP')), [409, 'TOO_LATE']);
  });

  it('a report needs a timestamp with an offset, and it may be up to a minute ahead', async () => {
    await assigned('a');
    for (const timestamp of [now(60_001), '2030-01-01T12:00:00', undefined, 7])
      assert.deepEqual(codes(await report('PICKED_UP', { timestamp })), [400, 'INVALID_TIMESTAMP']);
    assert.deepEqual(codes(await report('LOST')), [400, 'INVALID_STATUS']);
    assert.equal((await report('PICKED_UP', { timestamp: now(60_000) })).status, 204);
    assert.equal((await report('DELIVERED', { timestamp: '0000-01-01T00:00:00Z' })).status, 204);
  });

  it('the routes of a rider accept that rider, and refuse other riders and customers', async () => {
    await ask('PUT', '/v1/riders/ravi', RAVI);
    const others = await Promise.all([bearer('asha', 'rider'), bearer('ravi', 'customer')]);
    for (const { method, path } of routes()) {
      const at = path.replace(':rid', 'ravi').replace(':id', 'a');
      for (const headers of others)
        assert.deepEqual(codes(await ask(method, at, {}, headers)), [403, 'FORBIDDEN'], path);
      assert.notEqual((await ask(method, at, method === 'GET' ? undefined : {}, ravi)).status, 403, path);
    }
  });

  it('the events of a pickup carry the trace of its request', async () => {
    await assigned('a');
    const trace = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
    const body = { status: 'PICKED_UP', timestamp: now() };
    await api.ask('PATCH', '/v1/riders/ravi/orders/a', { body, headers: { ...ravi, traceparent: trace } });
    const caused = (await town.events()).slice(-3);
    assert.deepEqual(
      caused.map(({ eventType, traceparent }) => [eventType, traceparent]),
      ['delivery.picked_up', 'order.out_for_delivery', 'eta.updated'].map((type) => [type, trace]),
    );
  });
});
