/** Authentication and authorization: accepted and refused tokens, roles, and access to one's own orders. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { jwtAuth, noAuth } from '../../internal/transport/http/auth.ts';
import { mayReach } from '../../internal/transport/http/principal.ts';
import { route } from '../../internal/transport/http/route.ts';
import { placedOrder } from '../support/builders.ts';
import { NOON } from '../support/manual-clock.ts';
import { type Answer, type Api, codes, startApi } from './api.ts';
import { bearer, SECRET, tokenOf, unsigned } from './tokens.ts';

const LATER = NOON + 60_000;
const YESTERDAY_S = Math.floor(Date.now() / 1_000) - 86_400;

/** A route that returns the principal, limited to the restaurant in its path. */
const kitchen = route({
  method: 'GET',
  path: '/kitchens/:rid/tickets',
  access: { roles: ['restaurant', 'operator'], self: { restaurant: 'rid' } },
  tag: 'Test',
  summary: 'Answers who asked',
  answers: { 200: { description: 'The principal' } },
  handle(ctx, { principal }) {
    ctx.body = { subject: principal.subject, roles: principal.roles };
  },
});

describe('authentication with a token', () => {
  let api: Api;
  before(async () => {
    api = await startApi({ authenticate: jwtAuth({ secret: SECRET }), more: [kitchen] });
  });
  after(() => api.close());
  const withToken = (token: string, path = '/scheduler') =>
    api.ask('GET', path, { headers: { authorization: `Bearer ${token}` } });

  async function assertInvalid(answer: Answer): Promise<void> {
    assert.deepEqual(codes(answer), ['401', 'UNAUTHORIZED']);
    assert.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"');
  }

  test('a request without a bearer token is answered 401 with a challenge', async () => {
    const none: Record<string, string>[] = [
      {},
      { authorization: 'Basic bWU6eA==' },
      { authorization: 'Bearer' },
    ];
    for (const headers of none) {
      const answer = await api.ask('GET', '/scheduler', { headers });
      assert.deepEqual(
        [...codes(answer), answer.headers['www-authenticate']],
        ['401', 'UNAUTHORIZED', 'Bearer'],
      );
    }
  });

  test('probes, metrics and documentation need no token', async () => {
    for (const path of ['/livez', '/readyz', '/metrics', '/openapi.json', '/docs'])
      assert.equal((await api.ask('GET', path)).status, 200, path);
  });

  const MALFORMED = ['nonsense', 'a.b.c', '..', ' ', 'e30.e30.e30', 'é', 'a'.repeat(8_000)];
  for (const token of MALFORMED) {
    test(`a malformed token '${token.slice(0, 20)}' is refused`, async () => {
      const answer = await withToken(Buffer.from(token).toString('latin1'));
      assert.deepEqual(codes(answer), ['401', 'UNAUTHORIZED']);
      assert.deepEqual(api.log.at('error'), []);
    });
  }

  test('a token signed with another secret is refused', async () => {
    const token = await tokenOf({ sub: 'me', roles: ['operator'] }, { secret: `${SECRET}!` });
    await assertInvalid(await withToken(token));
  });

  test('a token whose claims were changed after signing is refused', async () => {
    const [header, , signature] = (await tokenOf({ sub: 'me', roles: ['customer'] })).split('.');
    const claims = Buffer.from(
      JSON.stringify({ sub: 'me', roles: ['operator'], exp: 4_000_000_000 }),
    ).toString('base64url');
    await assertInvalid(await withToken(`${header}.${claims}.${signature}`));
  });

  test('an unsigned token is refused', async () => {
    await assertInvalid(await withToken(unsigned({ sub: 'me', roles: ['operator'] })));
  });

  test('an expired token is refused, and the response says that it has expired', async () => {
    const answer = await withToken(await tokenOf({ sub: 'me', roles: ['operator'], exp: YESTERDAY_S }));
    await assertInvalid(answer);
    assert.match(answer.body.errors[0].detail, /expired/);
  });

  test('a token that was accepted before is refused once it has expired', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const exp = Math.floor(Date.now() / 1_000) + 10;
    const token = await tokenOf({ sub: 'me', roles: ['operator'], exp });
    assert.deepEqual([(await withToken(token)).status, (await withToken(token)).status], [200, 200]);
    t.mock.timers.setTime((exp + 5) * 1_000);
    await assertInvalid(await withToken(token));
  });

  test('a clock that is five seconds off is tolerated for the expiry and the start of a token', async (t) => {
    const now = Math.floor(Date.now() / 1_000) + 60;
    t.mock.timers.enable({ apis: ['Date'], now: now * 1_000 });
    const about = async (claims: object) =>
      (await withToken(await tokenOf({ sub: 'me', roles: ['operator'], ...claims }))).status;
    assert.deepEqual([await about({ exp: now - 4 }), await about({ nbf: now + 4 })], [200, 200]);
    assert.deepEqual([await about({ exp: now - 6 }), await about({ nbf: now + 6 })], [401, 401]);
  });

  test('the tolerance for clocks that are off can be set', async (t) => {
    const now = Math.floor(Date.now() / 1_000) + 60;
    t.mock.timers.enable({ apis: ['Date'], now: now * 1_000 });
    const strict = await startApi({ authenticate: jwtAuth({ secret: SECRET }, { clockToleranceS: 0 }) });
    t.after(strict.close);
    const ask = async (exp: number) => {
      const token = await tokenOf({ sub: 'me', roles: ['operator'], exp });
      return strict.ask('GET', '/scheduler', { headers: { authorization: `Bearer ${token}` } });
    };
    assert.deepEqual([(await ask(now + 1)).status, (await ask(now)).status], [200, 401]);
  });

  const RULES = { audience: 'tiffin', issuer: 'https://login.example' };
  test('a token for another audience or from another issuer is refused when these are set', async (t) => {
    const particular = await startApi({ authenticate: jwtAuth({ secret: SECRET }, RULES) });
    t.after(particular.close);
    const ask = async (claims: object) => {
      const token = await tokenOf({ sub: 'me', roles: ['operator'], ...claims });
      return particular.ask('GET', '/scheduler', { headers: { authorization: `Bearer ${token}` } });
    };
    const [aud, iss] = [RULES.audience, RULES.issuer];
    for (const right of [
      { aud, iss },
      { aud: ['other', aud], iss },
    ])
      assert.equal((await ask(right)).status, 200);
    for (const wrong of [
      {},
      { aud },
      { iss },
      { aud: 'other', iss },
      { aud: [], iss },
      { aud, iss: `${iss}/` },
    ])
      await assertInvalid(await ask(wrong));
  });

  test('a token that is not valid yet is refused', async () => {
    const nbf = Math.floor(Date.now() / 1_000) + 600;
    await assertInvalid(await withToken(await tokenOf({ sub: 'me', roles: ['operator'], nbf })));
  });

  const SUBJECTS: Record<string, unknown> = {
    'no subject': undefined,
    'an empty subject': '',
    'a number as its subject': 7,
    'a subject of 129 characters': 'a'.repeat(129),
    'a null character in its subject': 'a\0b',
  };
  for (const [what, sub] of Object.entries(SUBJECTS)) {
    test(`a token with ${what} is refused`, async () => {
      await assertInvalid(await withToken(await tokenOf({ sub, roles: ['operator'] } as never)));
    });
  }

  test('a token without an expiry is refused', async () => {
    await assertInvalid(await withToken(await tokenOf({ sub: 'me', roles: ['operator'], exp: undefined })));
  });

  for (const alg of ['HS256', 'HS384', 'HS512']) {
    test(`a token signed with ${alg} is accepted`, async () => {
      const secret = SECRET.repeat(2);
      const long = await startApi({ authenticate: jwtAuth({ secret }) });
      const token = await tokenOf({ sub: 'me', role: 'operator' }, { alg, secret });
      const answer = await long.ask('GET', '/scheduler', { headers: { authorization: `bearer ${token}` } });
      await long.close();
      assert.equal(answer.status, 200);
    });
  }

  test('a token names its roles in a list or a single role, and unknown roles are ignored', async () => {
    const path = '/kitchens/r-1/tickets';
    const ask = async (claims: object) => withToken(await tokenOf({ sub: 'r-1', ...claims }), path);
    for (const claims of [{ roles: ['chef', 'restaurant', 7] }, { role: 'restaurant' }])
      assert.deepEqual((await ask(claims)).body, { subject: 'r-1', roles: ['restaurant'] });
    for (const claims of [{}, { roles: [] }, { roles: 'restaurant' }, { role: 'OPERATOR' }, { roles: {} }])
      assert.deepEqual(codes(await ask(claims)), ['403', 'FORBIDDEN'], JSON.stringify(claims));
  });

  test('a token without a role of the route is answered 403, even for an invalid request', async () => {
    for (const role of ['customer', 'restaurant', 'rider']) {
      const headers = await bearer('me', role);
      for (const [method, path] of [
        ['GET', '/scheduler'],
        ['POST', '/scheduler/pause'],
        ['GET', '/v1/orders?limit=0'],
        ['GET', '/admin/dlq'],
        ['DELETE', '/admin/dlq/1'],
      ] as const)
        assert.deepEqual(codes(await api.ask(method, path, { headers })), ['403', 'FORBIDDEN'], path);
    }
    assert.equal(await api.store.schedulerSwitch.isPaused(), false);
  });

  test('a token of a restaurant gives access to its own restaurant only', async () => {
    const ask = (rid: string, headers: Record<string, string>) =>
      api.ask('GET', `/kitchens/${rid}/tickets`, { headers });
    const mine = await bearer('r-1', 'restaurant');
    assert.equal((await ask('r-1', mine)).status, 200);
    for (const other of ['r-2', 'R-1', 'r-1%20', '%00'])
      assert.deepEqual(codes(await ask(other, mine)), ['403', 'FORBIDDEN'], other);
    assert.equal((await ask('r-2', await bearer('me', 'operator'))).status, 200);
    assert.deepEqual(codes(await ask('r-1', await bearer('r-1', 'customer'))), ['403', 'FORBIDDEN']);
  });

  test('a principal keeps only the roles that the route accepts', async () => {
    const headers = await bearer('r-1', 'customer', 'restaurant');
    const { body } = await api.ask('GET', '/kitchens/r-1/tickets', { headers });
    assert.deepEqual(body.roles, ['restaurant']);
  });

  test('a missing token is refused before the body is read', async () => {
    assert.deepEqual(codes(await api.ask('POST', '/orders', { raw: '{' })), ['401', 'UNAUTHORIZED']);
  });

  test('an unknown route is 404 and an unsupported method is 405, even without a token', async () => {
    assert.deepEqual(codes(await api.ask('GET', '/nowhere')), ['404', 'ROUTE_NOT_FOUND']);
    assert.deepEqual(codes(await api.ask('DELETE', '/scheduler')), ['405', 'METHOD_NOT_ALLOWED']);
  });
});

describe('the access of a customer', () => {
  let api: Api;
  let asha: { authorization: string };
  let ravi: { authorization: string };
  let operator: { authorization: string };
  const BODY = { id: 'o-1', customer_name: 'Asha', total_price: 5 };
  before(async () => {
    api = await startApi({ authenticate: jwtAuth({ secret: SECRET }) });
    [asha, ravi] = [await bearer('asha', 'customer'), await bearer('ravi', 'customer')];
    operator = await bearer('me', 'operator');
  });
  after(() => api.close());
  beforeEach(() => {
    api.store.tables.orders.clear();
    api.store.tables.answers.clear();
    const order = (id: string, more: object) =>
      placedOrder({ content: { id, ...more }, scheduledAt: LATER, at: NOON });
    api.store.seed(
      order('ashas', { customerId: 'asha' }),
      order('ravis', { customerId: 'ravi' }),
      order('nobodys', {}),
    );
  });
  const stored = (id: string) => api.store.tables.orders.get(id as never)?.order;

  test('a customer reads, cancels and reschedules their own order', async () => {
    for (const path of ['/orders/ashas', '/orders?id=ashas'])
      assert.equal((await api.ask('GET', path, { headers: asha })).status, 200);
    const body = { scheduledAt: '2030-01-01T15:00:00Z' };
    const moved = await api.ask('PATCH', '/v1/orders/ashas/schedule', { headers: asha, body });
    assert.equal(moved.status, 200);
    const cancelled = await api.ask('POST', '/v1/orders/ashas/cancel', { headers: asha });
    assert.deepEqual([cancelled.status, stored('ashas')?.status], [200, 'CANCELLED']);
  });

  test('a customer gets the same 404 for an order of another customer as for an unknown order', async () => {
    const body = { scheduledAt: '2030-01-01T15:00:00Z' };
    const about = async (id: string) => [
      await api.ask('GET', `/orders/${id}`, { headers: asha }),
      await api.ask('GET', `/orders?id=${id}`, { headers: asha }),
      await api.ask('POST', `/v1/orders/${id}/cancel`, { headers: asha }),
      await api.ask('PATCH', `/v1/orders/${id}/schedule`, { headers: asha, body }),
    ];
    const nowhere = await about('nowhere');
    for (const id of ['ravis', 'nobodys']) {
      for (const [index, answer] of (await about(id)).entries()) {
        assert.deepEqual(codes(answer), ['404', 'ORDER_NOT_FOUND']);
        assert.equal(answer.text, nowhere[index]?.text.replaceAll('nowhere', id));
      }
      assert.equal(stored(id)?.version, 1);
    }
  });

  test('an order belongs to the customer who placed it, and one from an operator to no customer', async () => {
    assert.equal((await api.order(BODY, asha)).status, 201);
    assert.equal(stored('o-1')?.customerId, 'asha');
    assert.equal((await api.ask('GET', '/orders/o-1', { headers: asha })).status, 200);
    assert.equal((await api.order({ ...BODY, id: 'o-2' }, operator)).status, 201);
    assert.equal(stored('o-2')?.customerId, undefined);
    assert.equal((await api.ask('GET', '/orders/o-1', { headers: operator })).status, 200);
  });

  test('an order from a customer who is also an operator belongs to no customer', async () => {
    await api.order(BODY, await bearer('asha', 'customer', 'operator'));
    assert.equal(stored('o-1')?.customerId, undefined);
  });

  test('only the customer who placed an order gets its stored response for the same id', async () => {
    const first = await api.order(BODY, asha);
    const again = await api.order(BODY, asha);
    assert.deepEqual([again.status, again.text], [201, first.text]);
    assert.deepEqual(codes(await api.order(BODY, ravi)), ['409', 'ORDER_ID_TAKEN']);
    assert.deepEqual(codes(await api.order(BODY, operator)), ['409', 'ORDER_ID_TAKEN']);
  });

  test('idempotency keys are separate for each customer', async () => {
    const { id: _, ...body } = BODY;
    const key = { 'idempotency-key': 'k-1' };
    const hers = await api.order(body, { ...asha, ...key });
    const his = await api.order({ ...body, total_price: 6 }, { ...ravi, ...key });
    assert.deepEqual([hers.status, his.status], [201, 201]);
    assert.notEqual(hers.body.id, his.body.id);
    const again = await api.order(body, { ...asha, ...key });
    assert.deepEqual([again.text, again.headers['idempotency-replayed']], [hers.text, 'true']);
  });

  test('a customer cannot cancel an order through a role that the route does not accept', async () => {
    api.store.seed(
      placedOrder({ content: { id: 'kitchens', restaurantId: 'r-1' }, scheduledAt: LATER, at: NOON }),
    );
    const headers = await bearer('r-1', 'customer', 'restaurant');
    assert.deepEqual(codes(await api.ask('POST', '/v1/orders/kitchens/cancel', { headers })), [
      '404',
      'ORDER_NOT_FOUND',
    ]);
  });
});

test('each principal reaches their own orders, and an operator reaches all orders', () => {
  const owner = { customerId: 'c', restaurantId: 'r', riderId: 'd' };
  assert.equal(mayReach({ subject: 'c', roles: ['customer'] }, owner), true);
  assert.equal(mayReach({ subject: 'r', roles: ['restaurant'] }, owner), true);
  assert.equal(mayReach({ subject: 'd', roles: ['rider'] }, owner), true);
  assert.equal(mayReach({ subject: 'x', roles: ['operator'] }, {}), true);
  assert.equal(mayReach({ subject: 'r', roles: ['customer'] }, owner), false);
  assert.equal(mayReach({ subject: 'c', roles: ['customer', 'rider', 'restaurant'] }, {}), false);
  assert.equal(mayReach({ subject: 'c', roles: [] }, owner), false);
});

test('every request is from an operator when authentication is off', async () => {
  assert.deepEqual(await noAuth()({} as never), { subject: 'anonymous', roles: ['operator'] });
});
