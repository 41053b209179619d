/** A payment provider as Tiffin calls it: idempotent steps, and a signed webhook for what is decided later. In memory. */
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

/** The answer to each request, by its idempotency key: the same key gets the same answer, and nothing happens twice. */
const answers = new Map();
/** Idempotency keys whose authorization must not be granted any more. */
const abandoned = new Set();

const steps = {
  '/authorizations': ({ orderId, amount, token }, key) => {
    if (abandoned.has(key)) return { status: 'declined', reason: 'ABANDONED' };
    if (token === 'tok_decline') return { status: 'declined', reason: 'CARD_DECLINED' };
    const id = `auth_${randomUUID()}`;
    console.log(`authorized ${amount} for ${orderId}`);
    if (token !== 'tok_later') return { status: 'approved', id };
    void sendWebhook({ orderId, status: 'approved', id });
    return { status: 'pending' };
  },
  '/captures': ({ orderId, amount }) => done(`captured ${amount} of ${orderId}`),
  '/refunds': ({ orderId, amount }) => done(`refunded ${amount} of ${orderId}`),
  '/voids': ({ orderId, authorizationKey }) => {
    if (authorizationKey) abandoned.add(authorizationKey);
    return done(`voided ${orderId}`);
  },
};

function done(what) {
  console.log(what);
  return { status: 'approved' };
}

/** Tiffin-Signature is an HMAC of the time and the body; 404 means that Tiffin has not stored the payment yet. */
async function sendWebhook(result) {
  const body = JSON.stringify(result);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    await pause(RETRY_MS);
    const t = Math.floor(Date.now() / 1000);
    const v1 = createHmac('sha256', PAYMENT_WEBHOOK_SECRET).update(`${t}.${body}`).digest('hex');
    const headers = { 'Content-Type': 'application/json', 'Tiffin-Signature': `t=${t},v1=${v1}` };
    const response = await fetch(`${TIFFIN_URL}/webhooks/payments`, { method: 'POST', headers, body }).catch(
      () => undefined,
    );
    if (response?.ok) return console.log(`told Tiffin that ${result.orderId} is ${result.status}`);
  }
  console.error(`Tiffin did not take the result of ${result.orderId}`);
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
  let text = '';
  for await (const chunk of request) text += chunk;
  if (!answers.has(key)) answers.set(key, step(JSON.parse(text), key));
  answer(200, answers.get(key));
});
server.listen(Number(PORT), '127.0.0.1', () =>
  console.log(`payment provider at http://127.0.0.1:${server.address().port}`),
);
