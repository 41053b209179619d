/** An in-memory payment provider for Tiffin: idempotent steps, and a signed webhook for results that come later. */
import { createHmac, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

const {
  PORT = '9090',
  TIFFIN_URL = 'http://localhost:8080',
  PAYMENT_WEBHOOK_SECRET,
  PAYMENT_API_KEY,
} = process.env;
const RETRY_MS = 200;
const TRIES = 50;

if (!PAYMENT_WEBHOOK_SECRET) {
  console.error('Set PAYMENT_WEBHOOK_SECRET to the same value as in Tiffin.');
  process.exit(1);
}

/** The answer to each request, by its idempotency key: the same key gets the same answer, and nothing happens twice. */
const answers = new Map();
/** Idempotency keys of authorizations that Tiffin has abandoned: they must not be granted any more. */
const abandoned = new Set();

const steps = {
  '/authorizations': ({ orderId, amount, token }, key) => {
    if (token === 'tok_decline') return { status: 'declined', reason: 'CARD_DECLINED' };
    const approved = { status: 'approved', id: `auth_${randomUUID()}` };
    if (token === 'tok_later') {
      void decideLater(key, { orderId, ...approved });
      return { status: 'pending' };
    }
    console.log(`authorized ${amount} for ${orderId}`);
    return approved;
  },
  '/captures': ({ orderId, amount }) => done(`captured ${amount} of ${orderId}`),
  '/refunds': ({ orderId, amount }) => done(`refunded ${amount} of ${orderId}`),
  '/voids': ({ orderId, authorizationKey }) => {
    if (authorizationKey) abandoned.add(authorizationKey);
    return done(`voided ${orderId}`);
  },
};

function done(message) {
  console.log(message);
  return { status: 'approved' };
}

/** Sends the result until Tiffin takes it; 404 means that Tiffin has not stored the payment yet. */
async function decideLater(key, result) {
  const body = JSON.stringify(result);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    await pause(RETRY_MS);
    if (abandoned.has(key)) return console.log(`Tiffin abandoned ${result.orderId}: no webhook is sent`);
    if (await sendWebhook(body)) return console.log(`told Tiffin that ${result.orderId} is ${result.status}`);
  }
  console.error(`Tiffin did not take the result of ${result.orderId}`);
}

/** True if Tiffin took it. Tiffin-Signature is an HMAC of the time and the body. */
async function sendWebhook(body) {
  const t = Math.floor(Date.now() / 1000);
  const v1 = createHmac('sha256', PAYMENT_WEBHOOK_SECRET).update(`${t}.${body}`).digest('hex');
  const headers = { 'Content-Type': 'application/json', 'Tiffin-Signature': `t=${t},v1=${v1}` };
  const url = `${TIFFIN_URL}/webhooks/payments`;
  const response = await fetch(url, { method: 'POST', headers, body }).catch(() => undefined);
  return response?.ok === true;
}

/** The body as JSON, or undefined if it is none. */
async function readJson(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const server = createServer(async (request, response) => {
  const answer = (status, body) =>
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  const step = steps[request.url];
  const key = request.headers['idempotency-key'];
  if (request.method !== 'POST' || !step) return answer(404, { reason: 'there is no such step' });
  if (PAYMENT_API_KEY && request.headers.authorization !== `Bearer ${PAYMENT_API_KEY}`)
    return answer(401, {});
  if (!key) return answer(400, { reason: 'Idempotency-Key is missing' });
  const body = await readJson(request);
  if (!body) return answer(400, { reason: 'the body is not JSON' });
  if (abandoned.has(key)) return answer(200, { status: 'declined', reason: 'ABANDONED' });
  if (!answers.has(key)) answers.set(key, step(body, key));
  answer(200, answers.get(key));
});
server.listen(Number(PORT), '127.0.0.1', () =>
  console.log(`payment provider at http://127.0.0.1:${server.address().port}`),
);
