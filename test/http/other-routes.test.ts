/** Reading, listing, cancelling and rescheduling orders; unknown routes; and the routes for operators. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { movedTo, placedOrder } from '../support/builders.ts';
import { NOON } from '../support/manual-clock.ts';
import { type Answer, type Api, speak, startApi } from './api.ts';

const LATER = NOON + 60_000;
const order = (id: string, at = NOON) => placedOrder({ content: { id }, scheduledAt: LATER, at });

function codes(answer: Answer): string[] {
  for (const error of answer.body.errors) assert.equal(error.status, String(answer.status));
  return [String(answer.status), ...answer.body.errors.map(({ code }: { code: string }) => code)];
}

describe('the routes of one order', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api.close());
  beforeEach(() => {
    api.store.tables.orders.clear();
    api.store.tables.answers.clear();
    api.store.tables.events.length = 0;
    api.store.seed(
      order('o-1'),
      movedTo(order('going'), 'PROCESSING'),
      movedTo(order('done'), 'PROCESSING', 'COMPLETED'),
    );
  });
  const state = (id: string) => api.store.tables.orders.get(id as never)?.order;

  test('an order is returned with its version as its ETag', async () => {
    const { status, headers, body } = await api.ask('GET', '/orders/going');
    assert.deepEqual([status, headers.etag, body.status], [200, '"2"', 'PROCESSING']);
  });

  test('a request for an order needs exactly one valid id in its query', async () => {
    assert.deepEqual(codes(await api.ask('GET', '/orders')), ['400', 'INVALID_ID']);
    assert.deepEqual(codes(await api.ask('GET', '/orders?id=')), ['400', 'INVALID_ID']);
    assert.deepEqual(codes(await api.ask('GET', '/orders?id=a%2Fb')), ['400', 'INVALID_ID']);
    assert.deepEqual(codes(await api.ask('GET', '/orders?id=o-1&id=done')), ['400', 'INVALID_ID']);
  });

  test('an unknown order is 404, even if its id is invalid', async () => {
    for (const path of [
      '/orders?id=nowhere',
      '/orders/nowhere',
      '/orders/a%20b',
      '/orders/%00',
      `/orders/${'a'.repeat(65)}`,
    ])
      assert.deepEqual(codes(await api.ask('GET', path)), ['404', 'ORDER_NOT_FOUND'], path);
  });

  test('an id that cannot be decoded is refused with a 4xx status, and no error is logged', async () => {
    const answer = await api.ask('GET', '/orders/%E0%A4%A');
    assert.ok(answer.status >= 400 && answer.status < 500, String(answer.status));
    assert.deepEqual(api.log.at('error'), []);
  });

  test('an order is cancelled with or without a reason', async () => {
    const { status, body, headers } = await api.ask('POST', '/v1/orders/o-1/cancel', {
      body: { reason: 'late' },
    });
    assert.deepEqual([status, body.status, body.reason, headers.etag], [200, 'CANCELLED', 'late', '"2"']);
    assert.equal((await api.ask('POST', '/v1/orders/going/cancel')).body.status, 'CANCELLED');
    assert.deepEqual((await api.ask('GET', '/orders/o-1')).body.status, 'FAILED');
  });

  test('a completed order cannot be cancelled, and the response says why', async () => {
    const answer = await api.ask('POST', '/v1/orders/done/cancel');
    assert.deepEqual(codes(answer), ['409', 'ILLEGAL_TRANSITION']);
    assert.match(answer.body.errors[0].detail, /COMPLETED/);
    assert.deepEqual(codes(await api.ask('POST', '/v1/orders/nowhere/cancel')), ['404', 'ORDER_NOT_FOUND']);
  });

  const REASONS: Record<string, unknown> = {
    'that is a number': 7,
    'of 257 letters': 'a'.repeat(257),
    'with a null character': 'a\0b',
    'with half of a surrogate pair': '\udc00',
  };
  for (const [what, reason] of Object.entries(REASONS)) {
    test(`an order is not cancelled for a reason ${what}`, async () => {
      const answer = await api.ask('POST', '/v1/orders/o-1/cancel', { body: { reason } });
      assert.deepEqual(
        [codes(answer), answer.body.errors[0].pointer],
        [['400', 'INVALID_REASON'], '/reason'],
      );
      assert.equal(state('o-1')?.status, 'CREATED');
    });
  }

  test('an order is rescheduled while it waits, and refused once it has been dispatched', async () => {
    const body = { scheduledAt: '2030-01-01T15:00:00+02:00' };
    const answer = await api.ask('PATCH', '/v1/orders/o-1/schedule', { body });
    assert.deepEqual([answer.status, answer.headers.etag], [200, '"2"']);
    assert.deepEqual(
      [answer.body.scheduledAt, answer.body.dueAt],
      ['2030-01-01T13:00:00.000Z', '2030-01-01T13:00:00.000Z'],
    );
    assert.deepEqual(codes(await api.ask('PATCH', '/v1/orders/going/schedule', { body })), [
      '409',
      'ALREADY_DISPATCHED',
    ]);
    assert.deepEqual(codes(await api.ask('PATCH', '/v1/orders/done/schedule', { body })), [
      '409',
      'ILLEGAL_TRANSITION',
    ]);
  });

  test('an order is rescheduled only as often as an order may be, and can still be cancelled and dispatched', async () => {
    const reschedule = (minute: number) =>
      api.ask('PATCH', '/v1/orders/o-1/schedule', { body: { scheduledAt: `2030-01-01T15:0${minute}:00Z` } });
    for (const minute of [1, 2, 3]) assert.equal((await reschedule(minute)).status, 200);
    assert.equal((await reschedule(3)).status, 200, 'the same time once more is no change');
    const refused = await reschedule(4);
    assert.deepEqual(codes(refused), ['409', 'RESCHEDULED_TOO_OFTEN']);
    assert.match(refused.text, /stays due at 2030-01-01T15:03:00.000Z/);
    assert.deepEqual([state('o-1')?.version, state('o-1')?.timeline.length], [4, 4]);
    assert.equal((await api.ask('POST', '/v1/orders/o-1/cancel')).status, 200);
  });

  test('an order that is rescheduled to a time in the past is due now', async () => {
    const body = { scheduledAt: '2001-01-01T00:00:00Z' };
    assert.equal((await api.ask('PATCH', '/v1/orders/o-1/schedule', { body })).status, 200);
    assert.equal(state('o-1')?.dueAt, NOON);
  });

  for (const scheduledAt of [undefined, null, '', '2030-01-01T15:00:00', '2045-01-01T00:00:00Z', 5]) {
    test(`an order is not rescheduled to ${JSON.stringify(scheduledAt)}`, async () => {
      const answer = await api.ask('PATCH', '/v1/orders/o-1/schedule', { body: { scheduledAt } });
      assert.deepEqual(codes(answer), ['400', 'INVALID_SCHEDULED_AT']);
      assert.equal(state('o-1')?.version, 1);
    });
  }

  test('an order is changed only at a version that If-Match names', async () => {
    const cancel = (tag: string) =>
      api.ask('POST', '/v1/orders/o-1/cancel', { headers: { 'if-match': tag } });
    assert.deepEqual(codes(await cancel('"2"')), ['412', 'VERSION_MISMATCH']);
    for (const tag of ['"v2"', 'W/"1"', '""', '"1-gzip"', '"01"', '"1234567890123"', '"a,b", W/"c"'])
      assert.deepEqual(codes(await cancel(tag)), ['412', 'VERSION_MISMATCH'], tag);
    for (const tag of ['nonsense', '1', '"1', '"1" "2"', 'w/"1"', ','])
      assert.deepEqual(codes(await cancel(tag)), ['400', 'INVALID_IF_MATCH'], tag);
    assert.equal(state('o-1')?.status, 'CREATED');
    assert.equal((await cancel('W/"9", "a,b", "7",, "1"')).status, 200);
    assert.equal((await cancel('*')).status, 200);
    const body = { scheduledAt: '2030-01-01T15:00:00Z' };
    const stale = await api.ask('PATCH', '/v1/orders/o-1/schedule', { body, headers: { 'if-match': '"1"' } });
    assert.deepEqual(codes(stale), ['412', 'VERSION_MISMATCH']);
  });

  test('a GET whose If-None-Match names the current version is answered 304 without a body', async () => {
    const get = (tag: string) => api.ask('GET', '/orders/o-1', { headers: { 'if-none-match': tag } });
    const { etag } = (await api.ask('GET', '/orders/o-1')).headers;
    for (const tag of [etag as string, `W/${etag}`, `"x", ${etag}`, '*']) {
      const { status, text, headers } = await get(tag);
      assert.deepEqual([status, text, headers.etag], [304, '', etag], tag);
    }
    assert.equal((await get('"9"')).status, 200);
    assert.equal(
      (await api.ask('GET', '/orders/nowhere', { headers: { 'if-none-match': '*' } })).status,
      404,
    );
    const cancel = { headers: { 'if-none-match': etag as string } };
    assert.equal((await api.ask('POST', '/v1/orders/o-1/cancel', cancel)).status, 200);
    assert.equal((await get(etag as string)).status, 200);
  });

  test('a cancellation takes effect once for an idempotency key', async () => {
    const headers = { 'idempotency-key': 'k-1' };
    const first = await api.ask('POST', '/v1/orders/o-1/cancel', { headers });
    api.clock.advance(9);
    const again = await api.ask('POST', '/v1/orders/o-1/cancel', { headers });
    assert.deepEqual([again.status, again.text], [200, first.text]);
    assert.deepEqual(
      [first.headers['idempotency-replayed'], again.headers['idempotency-replayed']],
      [undefined, 'true'],
    );
    assert.equal(again.headers.etag, first.headers.etag);
    const other = await api.ask('POST', '/v1/orders/going/cancel', { headers });
    assert.deepEqual(codes(other), ['422', 'IDEMPOTENCY_KEY_REUSED']);
    assert.equal(state('going')?.status, 'PROCESSING');
  });
});

describe('the list of orders', () => {
  let api: Api;
  const ids = Array.from({ length: 23 }, (_, index) => `o-${index}`);
  before(async () => {
    api = await startApi();
    // Four orders share each creation time.
    api.store.seed(
      ...ids.map((id, index) => order(id, NOON + Math.floor(index / 4))),
      movedTo(order('going', NOON), 'PROCESSING'),
    );
  });
  after(() => api.close());

  test('the list returns every order once, newest first, for every page size', async () => {
    for (const limit of [1, 5, 8, 24, 200]) {
      const seen: { id: string; createdAt: string }[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const answer: Answer = await api.ask(
          'GET',
          `/v1/orders?limit=${limit}${cursor && `&cursor=${cursor}`}`,
        );
        assert.equal(answer.status, 200);
        assert.ok(answer.body.orders.length <= limit && answer.body.orders.length > 0);
        seen.push(...answer.body.orders);
        cursor = answer.body.nextCursor;
      }
      assert.deepEqual(seen.map(({ id }) => id).sort(), [...ids, 'going'].sort(), `pages of ${limit}`);
      const times = seen.map(({ createdAt }) => createdAt);
      assert.deepEqual(times, [...times].sort().reverse());
    }
  });

  test('the list can be filtered by status and by creation time', async () => {
    const { body } = await api.ask('GET', '/v1/orders?status=PROCESSING');
    assert.deepEqual(
      body.orders.map(({ id }: { id: string }) => id),
      ['going'],
    );
    assert.equal(body.nextCursor, null);
    const from = '2030-01-01T12:00:00.001Z';
    const until = '2030-01-01T12:00:00.002Z';
    const some = await api.ask('GET', `/v1/orders?createdFrom=${from}&createdBefore=${until}`);
    assert.equal(some.body.orders.length, 4);
  });

  const BAD: Record<string, [query: string, code: string]> = {
    'a limit of zero': ['limit=0', 'INVALID_LIMIT'],
    'a limit of 201': ['limit=201', 'INVALID_LIMIT'],
    'a fractional limit': ['limit=1.5', 'INVALID_LIMIT'],
    'a limit in words': ['limit=ten', 'INVALID_LIMIT'],
    'two limits': ['limit=1&limit=2', 'INVALID_LIMIT'],
    'an unknown status': ['status=LOST', 'INVALID_STATUS'],
    'a time without an offset': ['createdFrom=2030-01-01T00:00:00', 'INVALID_CREATED_FROM'],
    'a forged cursor': ['cursor=abc', 'INVALID_CURSOR'],
    'an empty cursor': ['cursor=', 'INVALID_CURSOR'],
    'two cursors': ['cursor=a&cursor=b', 'INVALID_CURSOR'],
  };
  for (const [what, [query, code]] of Object.entries(BAD)) {
    test(`the list refuses ${what}`, async () => {
      const answer = await api.ask('GET', `/v1/orders?${query}`);
      assert.deepEqual(codes(answer), ['400', code]);
      assert.equal(answer.body.errors[0].pointer, `/${query.split('=')[0]}`);
    });
  }

  test('the list names every fault of a query', async () => {
    assert.deepEqual(codes(await api.ask('GET', '/v1/orders?limit=0&status=x')), [
      '400',
      'INVALID_STATUS',
      'INVALID_LIMIT',
    ]);
  });
});

describe('the router', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api.close());

  test('an unknown route is 404', async () => {
    for (const path of ['/', '/order', '/v1', '/orders/a/b', '//orders', '/orders%2Fa'])
      assert.deepEqual(codes(await api.ask('GET', path)), ['404', 'ROUTE_NOT_FOUND'], path);
  });

  test('an unsupported method is 405, and the response lists the supported ones', async () => {
    for (const [method, path, allowed] of [
      ['DELETE', '/orders', ['GET', 'HEAD', 'POST']],
      ['PUT', '/orders/o-1', ['GET', 'HEAD']],
      ['GET', '/v1/orders/o-1/cancel', ['POST']],
      ['POST', '/livez', ['GET', 'HEAD']],
      // The path is not that of a dead letter with the id 'replay'.
      ['GET', '/admin/dlq/replay', ['POST']],
      ['PROPFIND', '/orders', ['GET', 'HEAD', 'POST']],
    ] as const) {
      const answer = await api.ask(method, path);
      assert.deepEqual(codes(answer), ['405', 'METHOD_NOT_ALLOWED'], `${method} ${path}`);
      assert.deepEqual(answer.headers.allow?.split(', ').sort(), allowed);
    }
  });

  test('an unknown route is 404 even with a method that no route supports', async () => {
    assert.deepEqual(codes(await api.ask('PROPFIND', '/nowhere')), ['404', 'ROUTE_NOT_FOUND']);
  });

  test('an OPTIONS request returns the supported methods of a route', async () => {
    for (const [path, allowed] of [
      ['/orders', ['GET', 'HEAD', 'POST']],
      ['/orders/o-1', ['GET', 'HEAD']],
      ['/admin/dlq/replay', ['POST']],
    ] as const) {
      const { status, headers, text } = await api.ask('OPTIONS', path);
      assert.deepEqual([status, headers.allow?.split(', ').sort(), text], [200, allowed, '']);
    }
  });

  test('the server survives a truncated body and a malformed request', async () => {
    const cut =
      'POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"cust';
    await speak(api.port, cut).catch(() => {});
    assert.match(await speak(api.port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.equal((await api.ask('GET', '/livez')).status, 200);
    assert.deepEqual(api.stored(), []);
    assert.deepEqual(api.log.at('error'), []);
  });
});

describe('the routes for operators', () => {
  test('an operator reads liveness, readiness and metrics of a healthy process', async (t) => {
    const api = await startApi({
      checks: [{ name: 'postgres', critical: true, fault: async () => undefined }],
    });
    t.after(api.close);
    assert.deepEqual((await api.ask('GET', '/livez')).body, { status: 'ok' });
    const ready = await api.ask('GET', '/readyz');
    assert.deepEqual([ready.status, ready.body], [200, { status: 'ready', checks: { postgres: 'ok' } }]);
    const metrics = await api.ask('GET', '/metrics');
    assert.deepEqual([metrics.status, metrics.text], [200, '# figures\n']);
    assert.match(metrics.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
  });

  test('a failed critical check makes the process not ready, and a failed optional check is only reported', async (t) => {
    const fault = async () => {
      throw new Error('connection refused');
    };
    const optional = await startApi({ checks: [{ name: 'redis', critical: false, fault }] });
    t.after(optional.close);
    const still = await optional.ask('GET', '/readyz');
    assert.deepEqual([still.status, still.body.checks], [200, { redis: 'connection refused' }]);
    const critical = await startApi({ checks: [{ name: 'postgres', critical: true, fault }] });
    t.after(critical.close);
    const answer = await critical.ask('GET', '/readyz');
    assert.deepEqual([answer.status, answer.body.status], [503, 'not ready']);
    assert.equal((await critical.ask('GET', '/livez')).status, 200, 'the process is still alive');
  });

  test('a stopping process is not ready', async (t) => {
    const api = await startApi();
    t.after(api.close);
    api.beginStopping();
    const answer = await api.ask('GET', '/readyz');
    assert.deepEqual([answer.status, answer.body.status], [503, 'stopping']);
  });

  test('an operator pauses and resumes the scheduler, and sees how many orders wait', async (t) => {
    const api = await startApi();
    t.after(api.close);
    await api.queue.schedule([
      { orderId: 'a' as never, dueAt: NOON },
      { orderId: 'b' as never, dueAt: LATER },
    ]);
    assert.deepEqual((await api.ask('POST', '/scheduler/pause')).body, { paused: true });
    assert.equal(await api.store.schedulerSwitch.isPaused(), true);
    assert.equal((await api.queue.claim(0, 9)).state, 'paused');
    const { body } = await api.ask('GET', '/scheduler');
    assert.deepEqual([body.waiting, body.due, body.lastDispatch], [2, 1, null]);
    assert.deepEqual((await api.ask('POST', '/scheduler/resume')).body, { paused: false });
    assert.deepEqual(
      [(await api.queue.claim(0, 9)).state, await api.store.schedulerSwitch.isPaused()],
      ['running', false],
    );
  });

  test('resuming the scheduler does not mark a lost queue as complete', async (t) => {
    const api = await startApi();
    t.after(api.close);
    api.queue.flush();
    await api.ask('POST', '/scheduler/resume');
    assert.equal((await api.queue.claim(0, 9)).state, 'lost');
  });
});
