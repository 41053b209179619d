/** POST /orders: accepted requests, refused requests that store nothing, and idempotency. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { NOON } from '../../support/manual-clock.ts';
import { type Api, type Ask, assertRefused, startApi } from '../api.ts';

const GOOD = { customer_name: 'Asha', total_price: 12.5 };
const LATER = '2030-01-01T12:01:00.000Z';

describe('POST /orders', () => {
  let api: Api;
  before(async () => {
    api = await startApi();
  });
  after(() => api.close());
  beforeEach(() => {
    for (const table of [api.store.tables.orders, api.store.tables.answers]) table.clear();
    api.store.tables.events.length = 0;
  });

  test('an order is placed with the requested content', async () => {
    const answer = await api.order({ ...GOOD, id: 'o-1', scheduled_time: '2030-01-01T13:01:00+01:00' });
    assert.equal(answer.status, 201);
    assert.deepEqual([answer.headers.location, answer.headers.etag], ['/orders/o-1', '"1"']);
    assert.deepEqual(answer.body, {
      id: 'o-1',
      orderId: 'o-1',
      customer_name: 'Asha',
      total_price: 12.5,
      status: 'CREATED',
      scheduled_time: LATER,
      created_at: '2030-01-01T12:00:00.000Z',
    });
    assert.deepEqual((await api.ask('GET', '/orders?id=o-1')).body, answer.body);
    assert.deepEqual((await api.ask('GET', '/orders/o-1')).body, answer.body);
  });

  test('an order without an id gets one, and unknown fields are ignored', async () => {
    const { status, body } = await api.order({ ...GOOD, colour: 'red', __proto__: { id: 'x' } });
    assert.equal(status, 201);
    assert.deepEqual(api.stored(), [body.id]);
  });

  const TAKEN: Record<string, [changes: object, seen: object]> = {
    'a price as text': [{ total_price: '12.50' }, { total_price: 12.5 }],
    'a price of zero': [{ total_price: 0 }, { total_price: 0 }],
    'a price with additional trailing zeros': [{ total_price: '1.2300' }, { total_price: 1.23 }],
    'the highest price': [{ total_price: 9_999_999_999.99 }, { total_price: 9_999_999_999.99 }],
    'a name with space around it': [{ customer_name: '  Asha  ' }, { customer_name: 'Asha' }],
    'a name in another script': [{ customer_name: 'आशा 🍱' }, { customer_name: 'आशा 🍱' }],
    'a time of null': [{ scheduled_time: null }, { scheduled_time: undefined }],
    'a time in the format of GNU date': [
      { scheduled_time: '2030-01-01T12:01:00+00:00' },
      { scheduled_time: LATER },
    ],
    'an id with every allowed special character': [{ id: '0a.B-c_d' }, { id: '0a.B-c_d' }],
  };
  for (const [what, [changes, seen]] of Object.entries(TAKEN)) {
    test(`an order with ${what} is accepted`, async () => {
      const { status, body } = await api.order({ ...GOOD, ...changes });
      assert.equal(status, 201, JSON.stringify(body));
      for (const [field, value] of Object.entries(seen)) assert.deepEqual(body[field], value);
    });
  }

  test('an order for a time in the past is due now, and returns the requested time', async () => {
    const { status, body } = await api.order({ ...GOOD, id: 'past', scheduled_time: '2001-01-01T00:00:00Z' });
    assert.deepEqual([status, body.scheduled_time], [201, '2001-01-01T00:00:00.000Z']);
    assert.equal([...api.store.tables.orders.values()][0]?.order.dueAt, NOON);
  });

  test('a time in lower case and a leap second are accepted', async () => {
    for (const [scheduled_time, shown] of [
      ['2031-01-01t00:00:00z', '2031-01-01T00:00:00.000Z'],
      ['2030-12-31T23:59:60Z', '2030-12-31T23:59:59.999Z'],
    ]) {
      const { status, body } = await api.order({ ...GOOD, scheduled_time });
      assert.deepEqual([status, body.scheduled_time], [201, shown]);
    }
  });

  test('an order for the year zero is accepted and stored with a time that a database can hold', async () => {
    const { status } = await api.order({ ...GOOD, scheduled_time: '0000-01-01T00:00:00Z' });
    assert.equal(status, 201);
    const order = [...api.store.tables.orders.values()][0]?.order;
    assert.ok(order?.scheduledAt !== undefined && order.scheduledAt >= 0, String(order?.scheduledAt));
  });

  const REFUSED: Record<string, [changes: object, code: string, pointer: string]> = {
    'no name': [{ customer_name: undefined }, 'INVALID_CUSTOMER_NAME', '/customer_name'],
    'an empty name': [{ customer_name: '' }, 'INVALID_CUSTOMER_NAME', '/customer_name'],
    'a name of spaces': [{ customer_name: '   ' }, 'INVALID_CUSTOMER_NAME', '/customer_name'],
    'a name of 257 letters': [{ customer_name: 'a'.repeat(257) }, 'INVALID_CUSTOMER_NAME', '/customer_name'],
    'a name with a null character': [{ customer_name: 'a\0b' }, 'INVALID_CUSTOMER_NAME', '/customer_name'],
    'a name with half of a surrogate pair': [
      { customer_name: '\ud83c' },
      'INVALID_CUSTOMER_NAME',
      '/customer_name',
    ],
    'a name that is a number': [{ customer_name: 7 }, 'INVALID_CUSTOMER_NAME', '/customer_name'],
    'a name that is null': [{ customer_name: null }, 'INVALID_CUSTOMER_NAME', '/customer_name'],
    'no price': [{ total_price: undefined }, 'INVALID_TOTAL_PRICE', '/total_price'],
    'a negative price': [{ total_price: -1 }, 'INVALID_TOTAL_PRICE', '/total_price'],
    'a price with a fraction of a cent': [{ total_price: 1.005 }, 'INVALID_TOTAL_PRICE', '/total_price'],
    'a huge price': [{ total_price: 1e12 }, 'INVALID_TOTAL_PRICE', '/total_price'],
    'a huge price as text': [{ total_price: '9'.repeat(400) }, 'INVALID_TOTAL_PRICE', '/total_price'],
    'a price in words': [{ total_price: 'twelve' }, 'INVALID_TOTAL_PRICE', '/total_price'],
    'an empty price': [{ total_price: '' }, 'INVALID_TOTAL_PRICE', '/total_price'],
    'a price of true': [{ total_price: true }, 'INVALID_TOTAL_PRICE', '/total_price'],
    'a price that is a list': [{ total_price: [1] }, 'INVALID_TOTAL_PRICE', '/total_price'],
    'an invalid time': [{ scheduled_time: 'tomorrow' }, 'INVALID_SCHEDULED_TIME', '/scheduled_time'],
    'a time that is a number': [{ scheduled_time: 1.9e12 }, 'INVALID_SCHEDULED_TIME', '/scheduled_time'],
    'an empty time': [{ scheduled_time: '' }, 'INVALID_SCHEDULED_TIME', '/scheduled_time'],
    'a time without an offset': [
      { scheduled_time: '2030-01-01T12:01:00' },
      'INVALID_SCHEDULED_TIME',
      '/scheduled_time',
    ],
    'a time without seconds': [
      { scheduled_time: '2030-01-01T12:01Z' },
      'INVALID_SCHEDULED_TIME',
      '/scheduled_time',
    ],
    'a nonexistent day': [
      { scheduled_time: '2031-02-29T00:00:00Z' },
      'INVALID_SCHEDULED_TIME',
      '/scheduled_time',
    ],
    'a time beyond ten years': [
      { scheduled_time: '2040-01-03T00:00:00Z' },
      'INVALID_SCHEDULED_TIME',
      '/scheduled_time',
    ],
    'an empty id': [{ id: '' }, 'INVALID_ID', '/id'],
    'an id with a slash': [{ id: 'a/b' }, 'INVALID_ID', '/id'],
    'an id with a space': [{ id: 'a b' }, 'INVALID_ID', '/id'],
    'an id with a newline at its end': [{ id: 'ab\n' }, 'INVALID_ID', '/id'],
    'an id with letters of another script': [{ id: 'आशा' }, 'INVALID_ID', '/id'],
    'an id that begins with a dot': [{ id: '.hidden' }, 'INVALID_ID', '/id'],
    'an id of 65 characters': [{ id: 'a'.repeat(65) }, 'INVALID_ID', '/id'],
    'an id that is a number': [{ id: 7 }, 'INVALID_ID', '/id'],
    'an id that is null': [{ id: null }, 'INVALID_ID', '/id'],
  };
  for (const [what, [changes, code, pointer]] of Object.entries(REFUSED)) {
    test(`an order with ${what} is refused and not stored`, async () => {
      assertRefused(await api.order({ ...GOOD, ...changes }), 400, { code, pointer });
      assert.deepEqual([api.stored(), api.store.bus.events], [[], []]);
    });
  }

  test('a price that overflows to infinity is refused', async () => {
    const raw = '{"customer_name":"Asha","total_price":1e999}';
    const answer = await api.ask('POST', '/orders', { raw, headers: { 'content-type': 'application/json' } });
    assertRefused(answer, 400, { code: 'INVALID_TOTAL_PRICE', pointer: '/total_price' });
  });

  test('the response lists all faults of a request, each with its pointer', async () => {
    const answer = await api.order({ id: 'a b', total_price: -1, scheduled_time: 'now' });
    assertRefused(
      answer,
      400,
      { code: 'INVALID_ID', pointer: '/id' },
      { code: 'INVALID_CUSTOMER_NAME', pointer: '/customer_name' },
      { code: 'INVALID_TOTAL_PRICE', pointer: '/total_price' },
      { code: 'INVALID_SCHEDULED_TIME', pointer: '/scheduled_time' },
    );
    assert.equal(answer.body.errors[1].detail, 'customer_name is required');
    assert.deepEqual(api.stored(), []);
  });

  const JSON_TYPE = { 'content-type': 'application/json' };
  const LARGE = JSON.stringify({ ...GOOD, customer_name: 'a'.repeat(64 * 1024) });
  const UNREADABLE: Record<string, [ask: Ask, status: number, code: string, pointer?: string]> = {
    'broken JSON': [{ raw: '{"customer_name":', headers: JSON_TYPE }, 400, 'MALFORMED_JSON'],
    'an empty body': [{ raw: '', headers: JSON_TYPE }, 400, 'MALFORMED_JSON'],
    'no body': [{ headers: JSON_TYPE }, 400, 'MALFORMED_JSON'],
    'a list as its body': [{ body: [GOOD] }, 400, 'INVALID_BODY', ''],
    'null as its body': [{ body: null }, 400, 'INVALID_BODY', ''],
    'text as its body': [{ body: 'order' }, 400, 'INVALID_BODY', ''],
    'a body over 64 KB': [{ raw: LARGE, headers: JSON_TYPE }, 413, 'BODY_TOO_LARGE'],
    'a body over 64 KB without a length': [
      { raw: LARGE, headers: JSON_TYPE, chunked: true },
      413,
      'BODY_TOO_LARGE',
    ],
    'another media type': [
      { raw: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    'no media type': [{ raw: JSON.stringify(GOOD) }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    'a media type that only begins like JSON': [
      { raw: JSON.stringify(GOOD), headers: { 'content-type': 'application/jsonp' } },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    'another charset': [
      { raw: JSON.stringify(GOOD), headers: { 'content-type': 'application/json; charset=latin1' } },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    'a quoted other charset': [
      { raw: JSON.stringify(GOOD), headers: { 'content-type': 'application/json;charset="utf-16"' } },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    'a body that is not UTF-8': [
      {
        raw: Buffer.from(JSON.stringify({ ...GOOD, customer_name: 'Zo\u00eb' }), 'latin1'),
        headers: JSON_TYPE,
      },
      400,
      'MALFORMED_JSON',
    ],
    'a compressed body': [
      { body: GOOD, headers: { 'content-encoding': 'gzip' } },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
  };
  for (const [what, [ask, status, code, pointer]] of Object.entries(UNREADABLE)) {
    test(`a request with ${what} is refused with ${status} and stores no order`, async () => {
      const answer = await api.ask('POST', '/orders', ask);
      assertRefused(answer, status, { code, ...(pointer === undefined ? {} : { pointer }) });
      assert.deepEqual(api.stored(), []);
    });
  }

  test('a request with a body far over 64 KB gets its response before the connection closes', async () => {
    const raw = JSON.stringify({ ...GOOD, customer_name: 'a'.repeat(8 * 1024 * 1024) });
    for (const chunked of [false, true]) {
      const answer = await api.ask('POST', '/orders', { raw, headers: JSON_TYPE, chunked });
      assertRefused(answer, 413, { code: 'BODY_TOO_LARGE' });
      assert.equal(answer.headers.connection, 'close');
    }
    assert.deepEqual(api.stored(), []);
  });

  test('a body of exactly 64 KB is read', async () => {
    const empty = JSON.stringify({ ...GOOD, note: '' });
    const raw = JSON.stringify({ ...GOOD, note: 'a'.repeat(64 * 1024 - empty.length) });
    assert.equal(Buffer.byteLength(raw), 64 * 1024);
    assert.equal((await api.ask('POST', '/orders', { raw, headers: JSON_TYPE })).status, 201);
  });

  test('a JSON media type with a charset or a suffix is accepted', async () => {
    for (const type of [
      'application/json; charset=utf-8',
      'application/json;charset="UTF-8"',
      'Application/JSON',
      'application/vnd.x+json',
    ])
      assert.equal((await api.order(GOOD, { 'content-type': type })).status, 201, type);
  });

  test('an order repeated under its id gets the same response, marked as replayed', async () => {
    const body = { ...GOOD, id: 'o-1', scheduled_time: LATER };
    const first = await api.order(body);
    api.clock.advance(5);
    const again = await api.order({
      ...body,
      total_price: '12.50',
      scheduled_time: '2030-01-01T14:01:00+02:00',
    });
    assert.deepEqual([again.status, again.body], [201, first.body]);
    assert.deepEqual(
      [again.headers.etag, again.headers.location, again.headers['idempotency-replayed']],
      ['"1"', '/orders/o-1', 'true'],
    );
    assert.equal(first.headers['idempotency-replayed'], undefined);
    assert.equal(api.store.bus.events.length, 1);
  });

  test('an order with a time of null has the same content as one without a time', async () => {
    await api.order({ ...GOOD, id: 'o-1' });
    const again = await api.order({ ...GOOD, id: 'o-1', scheduled_time: null });
    assert.deepEqual([again.status, again.headers['idempotency-replayed']], [201, 'true']);
  });

  test('an order repeated under its id gets its first response even after it was rescheduled and cancelled', async () => {
    const body = { ...GOOD, id: 'o-1', scheduled_time: LATER };
    const first = await api.order(body);
    await api.ask('PATCH', '/v1/orders/o-1/schedule', { body: { scheduledAt: '2030-01-01T15:00:00Z' } });
    await api.ask('POST', '/v1/orders/o-1/cancel', { body: { reason: 'late' } });
    const again = await api.order(body);
    assert.deepEqual([again.status, again.headers.etag, again.body], [201, '"1"', first.body]);
  });

  test('an order with other content under an existing id is refused and changes no order', async () => {
    await api.order({ ...GOOD, id: 'o-1' });
    assertRefused(await api.order({ ...GOOD, id: 'o-1', total_price: 13 }), 409, { code: 'ORDER_ID_TAKEN' });
    assert.equal((await api.ask('GET', '/orders/o-1')).body.total_price, 12.5);
    assert.equal(api.store.bus.events.length, 1);
  });

  test('a request repeated under its idempotency key gets its stored response and places no second order', async () => {
    const key = { 'idempotency-key': 'k-1' };
    const first = await api.order(GOOD, key);
    api.clock.advance(5);
    const again = await api.order(GOOD, key);
    assert.deepEqual([again.status, again.text], [201, first.text]);
    assert.deepEqual(
      [again.headers.location, again.headers.etag, again.headers['idempotency-replayed']],
      [first.headers.location, '"1"', 'true'],
    );
    assert.equal(api.stored().length, 1);
  });

  test('a request with other content under a used idempotency key is refused with 422', async () => {
    const key = { 'idempotency-key': 'k-1' };
    await api.order(GOOD, key);
    assertRefused(await api.order({ ...GOOD, total_price: 1 }, key), 422, { code: 'IDEMPOTENCY_KEY_REUSED' });
    assert.equal(api.stored().length, 1);
  });

  for (const [what, key] of [
    ['an empty idempotency key', ''],
    ['an idempotency key of 129 characters', 'k'.repeat(129)],
    ['an idempotency key with a space', 'a b'],
  ] as const) {
    test(`${what} is refused`, async () => {
      assertRefused(await api.order(GOOD, { 'idempotency-key': key }), 400, {
        code: 'INVALID_IDEMPOTENCY_KEY',
      });
      assert.deepEqual(api.stored(), []);
    });
  }

  test('the event of an order carries the trace of its request, unless the trace is malformed', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await api.order(GOOD, { traceparent });
    await api.order(GOOD, { traceparent: 'nonsense' });
    assert.deepEqual(
      api.store.bus.events.map((event) => event.traceparent),
      [traceparent, undefined],
    );
  });
});
