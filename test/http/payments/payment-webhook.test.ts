/** The payment provider's webhook, which must be signed and takes effect once, and the payment ledger of an order. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import type { Order, OrderId } from '../../../internal/domain/order.ts';
import { afterStep, newPayment, type Payment } from '../../../internal/domain/payment.ts';
import { jwtAuth } from '../../../internal/transport/http/auth.ts';
import { paymentRoutes } from '../../../internal/transport/http/routes/payments/payment-routes.ts';
import { after, CONTENTS, movedTo, nextId, placedOrder } from '../../support/builders.ts';
import { memoryStore } from '../../support/in-memory.ts';
import { memoryQueue } from '../../support/in-memory-queue.ts';
import { manualClock, NOON } from '../../support/manual-clock.ts';
import { memoryPayments, memoryTimers } from '../../support/payments.ts';
import { recordingLog } from '../../support/recording-log.ts';
import { type Api, startApi } from '../api.ts';
import { bearer, SECRET as TOKEN_SECRET } from '../tokens.ts';

const SECRET = 'what only the provider knows';
const NOW_S = NOON / 1_000;
const ID = 'o1' as OrderId;

let store: ReturnType<typeof memoryStore>;
let payments: ReturnType<typeof memoryPayments>;
let timers: ReturnType<typeof memoryTimers>;
let apis: Api[] = [];

beforeEach(() => {
  store = memoryStore();
  payments = memoryPayments();
  timers = memoryTimers();
});
afterEach(async () => {
  await Promise.all(apis.map((api) => api.close()));
  apis = [];
});

async function start(options: Parameters<typeof startApi>[0] = {}, secret: string | undefined = SECRET) {
  const clock = manualClock();
  const deps = { ...store, clock, payments, timers, log: recordingLog(), queue: memoryQueue(clock) };
  const routes = paymentRoutes({ ...deps, newEventId: () => nextId('event') }, secret);
  const api = await startApi({ ...options, more: routes });
  apis.push(api);
  return api;
}

const underWay = movedTo(
  placedOrder({ content: { ...CONTENTS.items, id: ID, customerId: 'asha' } }),
  'PROCESSING',
);
const dropped = after(underWay, { type: 'cancelled', at: NOON });
const pending = afterStep(newPayment(underWay, NOON), 'authorize', { outcome: 'pending' }, NOON);

function seed(order: Order = underWay, payment: Payment | undefined = pending) {
  store.seed(order);
  if (payment) payments.rows.set(ID, payment);
}

const APPROVED = { orderId: ID, status: 'approved', id: 'auth-1' };
const DECLINED = { orderId: ID, status: 'declined', reason: 'CARD_DECLINED' };

function signatureOf(body: string, { at = NOW_S, secret = SECRET } = {}): string {
  return `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;
}

/** Sends a webhook with a valid signature, or with the one given. */
function notify(api: Api, notice: unknown, signature?: (body: string) => string | undefined) {
  const raw = typeof notice === 'string' ? notice : JSON.stringify(notice);
  const signed = signature ? signature(raw) : signatureOf(raw);
  return api.ask('POST', '/webhooks/payments', {
    raw,
    headers: { 'content-type': 'application/json', ...(signed ? { 'tiffin-signature': signed } : {}) },
  });
}

const state = () => payments.rows.get(ID)?.state;
const announced = () => store.bus.events.map(({ eventType }) => eventType);

test('an approval authorizes a pending payment, and repeated approvals publish one event', async () => {
  seed();
  const api = await start();
  for (let time = 0; time < 5; time += 1) assert.equal((await notify(api, APPROVED)).status, 200);
  assert.deepEqual([state(), payments.rows.get(ID)?.authorizationId], ['AUTHORIZED', 'auth-1']);
  assert.deepEqual([announced(), timers.due.size], [['payment.authorized'], 0]);
});

test('a decline fails a pending payment', async () => {
  seed();
  const api = await start();
  assert.equal((await notify(api, DECLINED)).status, 200);
  assert.deepEqual([payments.rows.get(ID)?.reason, announced()], ['CARD_DECLINED', ['payment.failed']]);
});

test('a decline after an approval changes nothing', async () => {
  seed();
  const api = await start();
  await notify(api, APPROVED);
  assert.equal((await notify(api, DECLINED)).status, 200);
  assert.equal(state(), 'AUTHORIZED');
});

test('an approval for a cancelled order is recorded, and its void is due at once', async () => {
  for (const payment of [pending, afterStep(pending, 'abandon', { outcome: 'done' }, NOON)]) {
    timers.due.clear();
    seed(dropped, payment);
    assert.equal((await notify(await start(), APPROVED)).status, 200);
    assert.deepEqual([state(), timers.due.get(ID)], ['AUTHORIZED', NOON]);
  }
});

test('a webhook for an unknown order or payment is 404', async () => {
  const api = await start();
  assert.equal((await notify(api, APPROVED)).body.errors[0].code, 'PAYMENT_NOT_FOUND');
  store.seed(underWay);
  assert.deepEqual([(await notify(api, APPROVED)).status, state()], [404, undefined]);
});

const FORGED: Record<string, (body: string) => string | undefined> = {
  'no signature': () => undefined,
  'a malformed signature': () => 'nonsense',
  'no time': (body) => signatureOf(body).replace(/^t=\d+,/, ''),
  'no digest': (body) => signatureOf(body).replace(/,v1=.*/, ''),
  'an empty digest': (body) => signatureOf(body).replace(/v1=.*/, 'v1='),
  'half a digest': (body) => signatureOf(body).slice(0, -32),
  'another secret': (body) => signatureOf(body, { secret: 'a guess' }),
  'the digest of another body': (body) => signatureOf(`${body} `),
  'the digest of another time': (body) => signatureOf(body).replace(`t=${NOW_S}`, `t=${NOW_S + 1}`),
  'a digest that is too old': (body) => signatureOf(body, { at: NOW_S - 301 }),
  'a digest from the future': (body) => signatureOf(body, { at: NOW_S + 301 }),
  'a digest of another version': (body) => signatureOf(body).replace('v1=', 'v0='),
};
for (const [what, forge] of Object.entries(FORGED)) {
  test(`a webhook with ${what} is refused and changes nothing`, async () => {
    seed();
    const answer = await notify(await start(), APPROVED, forge);
    assert.deepEqual([answer.status, answer.body.errors[0].code], [401, 'INVALID_SIGNATURE']);
    assert.deepEqual([state(), announced()], ['PENDING', []]);
  });
}

test('a webhook is accepted within five minutes of its signature, and if one of several digests is valid', async () => {
  seed();
  const api = await start();
  for (const at of [NOW_S - 300, NOW_S + 300])
    assert.equal((await notify(api, APPROVED, (body) => signatureOf(body, { at }))).status, 200);
  const both = (body: string) => `${signatureOf(body).replace('v1=', `v1=${'0'.repeat(64)},v1=`)}`;
  assert.equal((await notify(api, APPROVED, both)).status, 200);
});

const BODIES: readonly [body: unknown, status: number, code: string][] = [
  ['{', 400, 'MALFORMED_JSON'],
  [{}, 400, 'INVALID_STATUS'],
  [{ ...APPROVED, status: 'maybe' }, 400, 'INVALID_STATUS'],
  [{ ...APPROVED, id: undefined }, 400, 'INVALID_ID'],
  [{ ...APPROVED, id: 'x'.repeat(129) }, 400, 'INVALID_ID'],
  [{ ...APPROVED, orderId: 'a\u0000b' }, 400, 'INVALID_ORDER_ID'],
  [{ ...DECLINED, reason: 'a\u0000b' }, 400, 'INVALID_REASON'],
];
for (const [body, status, code] of BODIES) {
  test(`a signed webhook with ${JSON.stringify(body).slice(0, 60)} is refused with ${code}`, async () => {
    seed();
    const answer = await notify(await start(), body);
    assert.deepEqual([answer.status, answer.body.errors[0].code], [status, code]);
    assert.equal(state(), 'PENDING');
  });
}

test('the webhook route does not exist without a secret', async () => {
  const api = await start({}, '');
  assert.equal((await notify(api, APPROVED)).body.errors[0].code, 'ROUTE_NOT_FOUND');
});

test('the ledger of an order returns its amounts and times', async () => {
  const authorized = afterStep(pending, 'authorize', { outcome: 'done', authorizationId: 'x' }, NOON + 1);
  seed(underWay, afterStep(authorized, 'capture', { outcome: 'done' }, NOON + 2));
  const { status, body } = await (await start()).ask('GET', `/v1/orders/${ID}/payment`);
  assert.equal(status, 200);
  assert.deepEqual(body, {
    orderId: ID,
    state: 'CAPTURED',
    currency: 'USD',
    requested: 12.5,
    authorized: 12.5,
    captured: 12.5,
    refunded: 0,
    requestedAt: '2030-01-01T12:00:00.000Z',
    authorizedAt: '2030-01-01T12:00:00.001Z',
    capturedAt: '2030-01-01T12:00:00.002Z',
  });
});

test('the ledger is 404 for an order without a payment and for an unknown order', async () => {
  const api = await start();
  store.seed(underWay);
  const missing = await api.ask('GET', `/v1/orders/${ID}/payment`);
  assert.deepEqual([missing.status, missing.body.errors[0].code], [404, 'PAYMENT_NOT_FOUND']);
  const unknown = await api.ask('GET', '/v1/orders/ghost/payment');
  assert.deepEqual([unknown.status, unknown.body.errors[0].code], [404, 'ORDER_NOT_FOUND']);
});

test('the ledger is visible to the customer of the order and to operators, and requires a token', async () => {
  seed();
  const api = await start({ authenticate: jwtAuth({ secret: TOKEN_SECRET }) });
  const look = async (headers: Record<string, string>) =>
    (await api.ask('GET', `/v1/orders/${ID}/payment`, { headers })).status;
  assert.equal(await look(await bearer('asha', 'customer')), 200);
  assert.equal(await look(await bearer('someone', 'operator')), 200);
  assert.equal(await look(await bearer('mallory', 'customer')), 404);
  assert.equal(await look(await bearer('asha', 'rider')), 403);
  assert.equal(await look({}), 401);
  assert.equal((await notify(api, APPROVED)).status, 200);
});
