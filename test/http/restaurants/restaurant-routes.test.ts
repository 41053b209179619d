/** The restaurants' routes on a real Postgres: access, refusals and effects. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { jwtAuth } from '../../../internal/transport/http/auth.ts';
import { restaurantRoutes } from '../../../internal/transport/http/routes/restaurants/restaurant-routes.ts';
import { type Kitchen, kitchen, PREPARATION_MS } from '../../support/kitchen.ts';
import { type Answer, type Api, startApi } from '../api.ts';
import { bearer, SECRET } from '../tokens.ts';

describe('the routes of restaurants', () => {
  let town: Kitchen;
  let api: Api;
  let own: { authorization: string };
  let operator: { authorization: string };
  before(async () => {
    town = await kitchen();
    api = await startApi({ more: restaurantRoutes(town), authenticate: jwtAuth({ secret: SECRET }) });
    [own, operator] = await Promise.all([bearer('r1', 'restaurant'), bearer('olga', 'operator')]);
  });
  after(async () => {
    await api.close();
    await town.close();
  });
  beforeEach(() => town.clear());

  const now = (ms = 0) => new Date(town.clock.now() + ms).toISOString();
  const say = (body: unknown, { order = 'a', rid = 'r1', headers = {} } = {}) =>
    api.ask('POST', `/v1/restaurants/${rid}/orders/${order}`, { body, headers: { ...own, ...headers } });
  const list = (query = '', headers = own, rid = 'r1') =>
    api.ask('GET', `/v1/restaurants/${rid}/orders${query}`, { headers });
  const codes = (answer: Answer) => [
    answer.status,
    ...answer.body.errors.map(({ code }: { code: string }) => code),
  ];
  const open = async (...ids: string[]) => {
    await town.seed('CONFIRMED', ids, { changes: { specialInstructions: 'Extra cheese' } });
    await town.deliver(...(await Promise.all(ids.map((id) => town.told(id)))));
  };
  const ACCEPT = { action: 'ACCEPT', estimatedReadyTime: '2030-01-01T12:20:00Z' };
  const REJECT = { action: 'REJECT', reason: 'NO_DOUGH' };

  it('a restaurant accepts an order once, with the documented body', async () => {
    await open('a');
    const accepted = await say(ACCEPT);
    assert.deepEqual(
      [accepted.status, accepted.body],
      [200, { status: 'ACCEPTED', acceptedAt: now(), estimatedReadyTime: '2030-01-01T12:20:00.000Z' }],
    );
    assert.equal(await town.status('a'), 'ACCEPTED');
    const before = await town.everything();
    for (const body of [ACCEPT, REJECT, { ...ACCEPT, estimatedReadyTime: now(1) }]) {
      const again = await say(body);
      assert.deepEqual(codes(again), [409, 'ALREADY_ACCEPTED']);
      assert.equal(again.body.errors[0].status, '409');
    }
    assert.deepEqual(await town.everything(), before);
  });

  it('a restaurant accepts an order without a ready time, and with one in the past', async () => {
    await open('a', 'b');
    assert.equal((await say({ action: 'ACCEPT' })).body.estimatedReadyTime, now(PREPARATION_MS));
    const passed = { action: 'ACCEPT', estimatedReadyTime: '2025-07-02T17:20:00Z' };
    assert.equal((await say(passed, { order: 'b' })).body.estimatedReadyTime, now());
  });

  it('a restaurant cannot accept an order for a time beyond ten years', async () => {
    await open('a');
    for (const estimatedReadyTime of ['2041-01-01T00:00:00Z', '9999-12-31T23:59:59Z'])
      assert.deepEqual(codes(await say({ action: 'ACCEPT', estimatedReadyTime })), [
        400,
        'INVALID_ESTIMATED_READY_TIME',
      ]);
    assert.equal(await town.status('a'), 'CONFIRMED');
  });

  it('a restaurant rejects an order with or without a reason', async () => {
    await open('a', 'b');
    const rejected = await say(REJECT);
    assert.deepEqual(
      [rejected.status, rejected.body],
      [200, { status: 'REJECTED', rejectedAt: now(), reason: 'NO_DOUGH' }],
    );
    assert.deepEqual(codes(await say(ACCEPT)), [409, 'ALREADY_REJECTED']);
    assert.equal((await say({ action: 'REJECT' }, { order: 'b' })).body.status, 'REJECTED');
    assert.deepEqual([await town.status('a'), await town.status('b')], ['REJECTED', 'REJECTED']);
  });

  it('a restaurant completes a collected order, and not one that a rider delivers', async () => {
    await town.seed('ACCEPTED', ['mine'], { kind: 'restaurant' });
    await town.seed('ACCEPTED', ['brought']);
    const collected = await say({ action: 'COLLECTED' }, { order: 'mine' });
    assert.deepEqual([collected.status, collected.body], [200, { status: 'COLLECTED' }]);
    assert.equal(
      (await say({ action: 'COLLECTED' }, { order: 'mine' })).status,
      200,
      'a repeated report is accepted',
    );
    assert.equal(await town.status('mine'), 'COMPLETED');
    const before = await town.everything();
    const refused = await say({ action: 'COLLECTED' }, { order: 'brought' });
    assert.deepEqual(codes(refused), [409, 'ILLEGAL_TRANSITION']);
    for (const about of [{ order: 'nowhere' }, { order: 'mine', rid: 'auto', headers: operator }])
      assert.deepEqual(codes(await say({ action: 'COLLECTED' }, about)), [404, 'TICKET_NOT_FOUND']);
    assert.deepEqual(await town.everything(), before);
  });

  it('a restaurant reports once that an accepted order is ready, which the list and the stream of events say', async () => {
    await open('a');
    const ready = (order: string) => say({ action: 'READY' }, { order });
    assert.deepEqual(codes(await ready('a')), [409, 'ILLEGAL_TRANSITION']);
    await say(ACCEPT);
    const readyAt = now();
    for (let time = 0; time < 3; time += 1) {
      const { status, body } = await ready('a');
      assert.deepEqual([status, body], [200, { status: 'READY', readyAt }]);
      town.clock.advance(1_000);
    }
    assert.equal((await list()).body.orders[0].readyAt, readyAt);
    const told = (await town.events()).filter(({ eventType }) => eventType === 'restaurant.ready');
    assert.deepEqual(
      told.map(({ orderId, payload }) => [orderId, payload]),
      [['a', { restaurantId: 'r1', readyAt }]],
    );
    assert.equal(await town.status('a'), 'ACCEPTED');
    await open('b');
    await say(ACCEPT, { order: 'b' });
    await town.command('b', { type: 'cancel' });
    await town.deliverAll();
    assert.deepEqual(codes(await ready('b')), [409, 'TOO_LATE']);
    for (const about of [{ order: 'nowhere' }, { rid: 'auto', headers: operator }])
      assert.deepEqual(codes(await say({ action: 'READY' }, about)), [404, 'TICKET_NOT_FOUND']);
  });

  it('the routes of a restaurant accept only the restaurant itself and operators', async () => {
    await open('a');
    const before = await town.everything();
    for (const [sub, role] of [
      ['auto', 'restaurant'],
      ['r1', 'customer'],
      ['r1', 'rider'],
    ] as const) {
      const headers = await bearer(sub, role);
      assert.deepEqual(codes(await say(ACCEPT, { headers })), [403, 'FORBIDDEN'], `${sub} ${role}`);
      assert.deepEqual(codes(await list('', headers)), [403, 'FORBIDDEN'], `${sub} ${role}`);
    }
    assert.deepEqual(await town.everything(), before);
    assert.equal((await list('', operator)).body.orders.length, 1);
    assert.equal((await say(ACCEPT, { headers: operator })).status, 200);
  });

  it('a ticket that does not belong to the restaurant is 404', async () => {
    await open('a');
    const before = await town.everything();
    for (const about of [
      { order: 'nowhere' },
      { order: 'a%20b' },
      { order: '%00' },
      { order: 'a'.repeat(65) },
      { rid: 'auto', headers: operator },
      { rid: 'nobody', headers: operator },
      { rid: '%00', headers: operator },
      { rid: '%20', headers: operator },
    ])
      for (const body of [ACCEPT, { action: 'ACCEPT' }, REJECT])
        assert.deepEqual(codes(await say(body, about)), [404, 'TICKET_NOT_FOUND'], JSON.stringify(about));
    assert.deepEqual(await town.everything(), before);
  });

  it('an acceptance before confirmation or after cancellation is refused, and the response says why', async () => {
    await town.seed('PROCESSING', ['early']);
    await town.seed('CANCELLED', ['late']);
    const early = await say(ACCEPT, { order: 'early' });
    assert.deepEqual(codes(early), [409, 'ILLEGAL_TRANSITION']);
    assert.match(early.body.errors[0].detail, /PROCESSING and not confirmed yet/);
    const late = await say(ACCEPT, { order: 'late' });
    assert.deepEqual(codes(late), [409, 'TOO_LATE']);
    assert.match(late.body.errors[0].detail, /CANCELLED/);
  });

  const WRONG: Record<string, [body: unknown, code: string]> = {
    'no action': [{}, 'INVALID_ACTION'],
    'an unknown action': [{ action: 'accept' }, 'INVALID_ACTION'],
    'an invalid time': [{ ...ACCEPT, estimatedReadyTime: 'soon' }, 'INVALID_ESTIMATED_READY_TIME'],
    'a time without an offset': [
      { ...ACCEPT, estimatedReadyTime: '2030-01-01T12:20:00' },
      'INVALID_ESTIMATED_READY_TIME',
    ],
    'a reason that is a number': [{ ...REJECT, reason: 7 }, 'INVALID_REASON'],
    'a reason with a null character': [{ ...REJECT, reason: 'a\0b' }, 'INVALID_REASON'],
    'a body that is a list': [[], 'INVALID_BODY'],
  };
  for (const [what, [body, code]] of Object.entries(WRONG))
    it(`a decision with ${what} is refused and changes nothing`, async () => {
      await open('a');
      const before = await town.everything();
      assert.deepEqual(codes(await say(body)), [400, code]);
      assert.deepEqual(await town.everything(), before);
    });

  it('a decision takes effect once for an idempotency key, and another request under the key is refused', async () => {
    await open('a', 'b');
    const headers = { 'idempotency-key': 'k-1' };
    const first = await say(ACCEPT, { headers });
    town.clock.advance(9);
    const again = await say(ACCEPT, { headers });
    assert.deepEqual([again.status, again.text], [200, first.text]);
    assert.deepEqual(
      [first.headers['idempotency-replayed'], again.headers['idempotency-replayed']],
      [undefined, 'true'],
    );
    for (const other of [say(REJECT, { headers }), say(ACCEPT, { order: 'b', headers })])
      assert.deepEqual(codes(await other), [422, 'IDEMPOTENCY_KEY_REUSED']);
    assert.equal(await town.status('b'), 'CONFIRMED');
  });

  it('the list returns the open and accepted tickets of the restaurant, with items and instructions', async () => {
    await open('a');
    await town.seed('CONFIRMED', ['elsewhere'], { restaurantId: 'auto' });
    await town.deliver(await town.told('elsewhere'));
    const ticket = {
      orderId: 'a',
      status: 'OPEN',
      orderStatus: 'PLACED',
      openedAt: now(),
      leavesBy: 'RIDER',
      items: [{ itemId: 'sushi-set', quantity: 2 }],
      specialInstructions: 'Extra cheese',
    };
    const { status, body } = await list();
    assert.deepEqual([status, body], [200, { orders: [ticket], nextCursor: null }]);
    await say(ACCEPT);
    const estimatedReadyTime = '2030-01-01T12:20:00.000Z';
    const accepted = { ...ticket, status: 'ACCEPTED', orderStatus: 'ACCEPTED', estimatedReadyTime };
    assert.deepEqual((await list()).body.orders, [accepted]);
    await town.command('a', { type: 'cancel' });
    await town.deliverAll();
    assert.deepEqual((await list()).body, { orders: [], nextCursor: null });
  });

  it('the list returns every ticket once, oldest first, for every page size', async () => {
    const ids = Array.from({ length: 11 }, (_, n) => `a${n}`);
    for (const id of ids) {
      await open(id);
      if (id.endsWith('3')) town.clock.advance(1);
    }
    for (const limit of [1, 4, 11, 200]) {
      const seen: { orderId: string; openedAt: string }[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const { body } = await list(`?limit=${limit}${cursor && `&cursor=${cursor}`}`);
        assert.ok(body.orders.length <= limit && body.orders.length > 0);
        seen.push(...body.orders);
        cursor = body.nextCursor;
      }
      assert.deepEqual(seen.map(({ orderId }) => orderId).sort(), [...ids].sort(), `pages of ${limit}`);
      const times = seen.map(({ openedAt }) => openedAt);
      assert.deepEqual(times, [...times].sort());
    }
  });

  it('the list is empty for an unknown restaurant, and an invalid limit or cursor is refused', async () => {
    assert.deepEqual((await list('', operator, 'nobody')).body, { orders: [], nextCursor: null });
    for (const rid of ['%00', '%20'])
      assert.deepEqual(codes(await list('', operator, rid)), [404, 'UNKNOWN_RESTAURANT'], rid);
    for (const query of ['?limit=0', '?limit=201', '?limit=x'])
      assert.deepEqual(codes(await list(query)), [400, 'INVALID_LIMIT']);
    for (const query of ['?cursor=', '?cursor=abc'])
      assert.deepEqual(codes(await list(query)), [400, 'INVALID_CURSOR']);
    const farthest = '999999999999999~a';
    assert.equal((await list(`?cursor=${farthest}`)).status, 200);
    assert.deepEqual(api.log.at('error'), []);
  });
});
