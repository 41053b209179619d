/** The functions that build the pages' requests and texts. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ORDER_STATUSES } from '../../internal/domain/order.ts';
import { laidOut } from '../../web/console/json-text.ts';
import { eventReader, pauseMs } from '../../web/event-stream.ts';
import { randomKey, requestKeys, sortFaults, toRequest, type Values } from '../../web/home/order-request.ts';
import { hashOf, orderOf, type RecentOrder, readRecent, remember } from '../../web/home/recent-orders.ts';
import { etaText, timeText, toRfc3339 } from '../../web/times.ts';
import { headline, isFinal, paymentText, stepText, stockText } from '../../web/words.ts';
import { type Api, startApi } from '../http/api.ts';

let api: Api;
before(async () => {
  process.env.TZ = 'Europe/Berlin';
  api = await startApi();
});
after(() => api.close());

const VALUES: Values = {
  customerId: 'customer-1',
  customerName: 'Asha',
  totalPrice: '12.50',
  restaurantId: 'REST-456',
  lines: [{ itemId: 'PIZZA-001', quantity: '2', unitPrice: '7.5' }],
  address: { street: '1 Main', city: 'Anytown', state: 'CA', zipCode: '12345' },
  time: '2030-07-01T18:30',
  card: 'tok_decline',
};

test('an order by its amount is sent in the form that the server accepts', async () => {
  const { path, body } = toRequest('amount', VALUES);
  assert.deepEqual(body, {
    customer_name: 'Asha',
    total_price: '12.50',
    scheduled_time: '2030-07-01T18:30:00+02:00',
  });
  const placed = await api.ask('POST', path, { body });
  assert.equal(placed.status, 201);
  assert.equal(placed.body.scheduled_time, '2030-07-01T16:30:00.000Z');
});

test('an order by items is sent with prices, and one at a restaurant without prices and with an address', () => {
  const payment = { token: 'tok_decline' };
  const scheduledAt = '2030-07-01T18:30:00+02:00';
  assert.deepEqual(toRequest('items', VALUES), {
    path: '/orders',
    body: {
      customerId: 'customer-1',
      scheduledAt,
      items: [{ itemId: 'PIZZA-001', unitPrice: '7.5', quantity: 2 }],
      payment,
    },
  });
  assert.deepEqual(toRequest('delivered', VALUES), {
    path: '/v1/orders',
    body: {
      customerId: 'customer-1',
      restaurantId: 'REST-456',
      scheduledAt,
      items: [{ itemId: 'PIZZA-001', quantity: 2 }],
      deliveryAddress: VALUES.address,
      payment,
    },
  });
});

test('a request omits empty fields, and each fault from the server is shown at its field', async () => {
  const empty = { ...VALUES, customerName: '', totalPrice: '', time: '' };
  const { path, body } = toRequest('amount', empty);
  assert.deepEqual(body, {});
  const lines = [{ itemId: '', quantity: '', unitPrice: '' }];
  const items = toRequest('items', { ...VALUES, customerId: '', lines });
  assert.deepEqual(items.body.items, [{}]);
  const address = { ...VALUES.address, state: '' };
  const delivered = toRequest('delivered', { ...VALUES, address }).body.deliveryAddress as object;
  assert.ok(!('state' in delivered));
  const refused = await api.ask('POST', items.path, { body: items.body });
  const pointers = new Set(['/customerId', '/items/0/itemId', '/items/0/quantity']);
  const { beside, others } = sortFaults(refused.body.errors, pointers);
  assert.deepEqual([...beside.keys()].sort(), [...pointers].sort());
  assert.deepEqual(others, []);
  const unplaced = sortFaults((await api.ask('POST', path, { body })).body.errors, pointers);
  assert.equal(unplaced.beside.size, 0);
  assert.equal(unplaced.others.length, 1, 'a fault without a field stands in the list');
});

test('two faults of one field are grouped', () => {
  const errors = ['must be short', 'must be kind'].map((detail) => ({ detail, pointer: '/a' }));
  assert.deepEqual(
    sortFaults(errors, new Set(['/a'])).beside,
    new Map([['/a', ['must be short', 'must be kind']]]),
  );
});

test('a local time gets the offset of its own date, even if a clock change skips it', () => {
  assert.equal(toRfc3339('2030-01-01T08:05'), '2030-01-01T08:05:00+01:00');
  assert.equal(toRfc3339('2030-07-01T08:05:09'), '2030-07-01T08:05:09+02:00');
  assert.equal(toRfc3339('2030-03-31T02:30'), '2030-03-31T03:30:00+02:00');
  assert.equal(toRfc3339(''), '');
  process.env.TZ = 'America/St_Johns';
  assert.equal(toRfc3339('2030-01-01T08:05'), '2030-01-01T08:05:00-03:30');
  process.env.TZ = 'Europe/Berlin';
});

test('a request keeps its idempotency key until it is done or its content changes', () => {
  let made = 0;
  const keys = requestKeys(() => `key-${++made}`);
  assert.equal(keys.of(['/orders', { a: 1 }]), 'key-1');
  assert.equal(keys.of(['/orders', { a: 1 }]), 'key-1');
  assert.equal(keys.of(['/orders', { a: 2 }]), 'key-2');
  keys.done();
  assert.equal(keys.of(['/orders', { a: 2 }]), 'key-3');
});

test('a random idempotency key is unique and accepted by the server', async () => {
  assert.notEqual(randomKey(), randomKey());
  const headers = { 'Idempotency-Key': randomKey() };
  assert.equal((await api.order({ customer_name: 'Asha', total_price: 1 }, headers)).status, 201);
});

test('events are read from a stream that is split at any position', () => {
  const stream =
    'id: 7-1\r\nevent: view\r\ndata: {"a":1}\r\n\r\n: still here\n\ndata:x\ndata: y\n\nevent: end\rdata: {}\r\rdata: cut';
  const wanted = [
    ['view', '{"a":1}', '7-1'],
    ['message', 'x\ny', '7-1'],
    ['end', '{}', '7-1'],
  ];
  for (let size = 1; size <= stream.length; size += 1) {
    const heard: string[][] = [];
    const take = eventReader(({ type, data, id }) => heard.push([type, data, id]));
    for (let at = 0; at < stream.length; at += size) take(stream.slice(at, at + size));
    assert.deepEqual(heard, wanted, `in pieces of ${size}`);
  }
});

test('the backoff grows with each attempt, within its bounds and up to fifteen seconds', () => {
  assert.deepEqual([pauseMs(0, 0), pauseMs(0, 1), pauseMs(3, 1)], [250, 500, 4_000]);
  assert.deepEqual([pauseMs(2_000, 0), pauseMs(2_000, 1)], [7_500, 15_000]);
});

test('every status has a text, and an unknown status is shown unchanged', () => {
  for (const status of ORDER_STATUSES) assert.match(stepText(status), /^[A-Z][a-z ]/, status);
  assert.equal(stepText('RESCHEDULED'), 'Rescheduled');
  assert.equal(stepText('FAILED: NO_RIDER'), 'FAILED: NO_RIDER');
  assert.equal(stockText('RELEASED'), 'Released');
  assert.equal(paymentText('NEW'), 'NEW');
});

test('the headline is the most precise status of the timeline with its reason, and ignores late entries', () => {
  const timeline = ['CREATED', 'PROCESSING', 'CONFIRMED', 'PREPARING'].map((status) => ({ status }));
  assert.equal(headline({ status: 'CONFIRMED', timeline }), 'Being prepared');
  const failed = { status: 'FAILED', reason: 'OUT_OF_STOCK', timeline: [...timeline, { status: 'FAILED' }] };
  assert.equal(headline(failed), 'Failed: out of stock');
  assert.equal(
    headline({ status: 'FAILED', reason: 'We closed early', timeline: [{ status: 'REJECTED' }] }),
    'Rejected by the restaurant: We closed early',
  );
  const late = [...timeline, { status: 'CANCELLED' }, { status: 'OUT_FOR_DELIVERY' }];
  assert.equal(headline({ status: 'CANCELLED', timeline: late }), 'Cancelled');
  assert.equal(headline({ status: 'NEW', timeline }), 'NEW');
  assert.deepEqual(
    ['ASSIGNED', 'DELIVERED', 'FAILED'].map((status) => isFinal({ status })),
    [false, true, true],
  );
});

test('the ETA counts down in minutes and is never negative', () => {
  const eta = { median: '2030-01-01T12:00:00Z', p90: '2030-01-01T12:07:00Z' };
  const at = (time: string) => etaText(eta.median, eta.p90, Date.parse(`2030-01-01T${time}Z`));
  assert.equal(at('11:48:00'), 'in 12 to 19 min');
  assert.equal(at('11:48:01'), 'in 12 to 19 min');
  assert.equal(at('11:49:00'), 'in 11 to 18 min');
  assert.equal(at('12:02:00'), 'within 5 min');
  assert.equal(at('12:30:00'), 'any moment now');
  assert.equal(etaText(eta.median, eta.median, Date.parse('2030-01-01T11:58:00Z')), 'in 2 min');
});

test('a time on another day is shown with its date', () => {
  const now = Date.parse('2030-01-01T12:00:00Z');
  assert.match(timeText('2030-01-02T12:00:00Z', now), /2030/);
  assert.doesNotMatch(timeText('2030-01-01T14:00:00Z', now), /2030/);
  assert.doesNotMatch(timeText('2030-01-01T14:00:07Z', now, 'short'), /07/);
});

test('the recent orders are up to ten, newest first and each once, and invalid stored data is ignored', () => {
  const many = Array.from({ length: 12 }, (_, n) => ({ id: `o-${n}`, at: n }));
  const kept = many.reduce<readonly RecentOrder[]>((recent, entry) => remember(recent, entry), []);
  assert.deepEqual([kept.length, kept[0]?.id], [10, 'o-11']);
  assert.deepEqual(
    remember(kept, { id: 'o-5', at: 5 })
      .map(({ id }) => id)
      .slice(0, 2),
    ['o-5', 'o-11'],
  );
  assert.equal(remember(kept, { id: 'o-5', at: 5 }).length, 10);
  assert.deepEqual(
    readRecent(
      JSON.stringify([
        { id: 'a', at: 1, more: 2 },
        { id: '' },
        { id: 3, at: 1 },
        { id: 'b', at: 9e15 },
        { id: 'c' },
      ]),
    ),
    [{ id: 'a', at: 1 }],
  );
  for (const text of [null, '', '{', '{}', '7', '[null]', '"x"']) assert.deepEqual(readRecent(text), []);
});

test('an order id is read back unchanged from the hash of its address', () => {
  for (const id of ['order-1', 'a.b_c', 'a&b=c#d +e/é']) assert.equal(orderOf(hashOf(id)), id);
  for (const hash of ['', '#', '#order=', '#order=%20', '#other=1']) assert.equal(orderOf(hash), undefined);
});

test('JSON is laid out with every digit and every character of its texts', () => {
  const value = { a: [1, { b: '{"[,:]\\"\n' }, [], {}], 'c/d': null };
  assert.equal(laidOut(JSON.stringify(value)), JSON.stringify(value, null, 2));
  assert.equal(
    laidOut('{"n": 9007199254740993, "m": 1e400}'),
    '{\n  "n": 9007199254740993,\n  "m": 1e400\n}',
  );
  assert.equal(laidOut('"text"'), '"text"');
});
