/** Placing orders while a request is in flight, the store is down, too many orders wait, or an unknown error occurs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TiffinError } from '../../../internal/domain/errors.ts';
import { gate, turns } from '../../support/turns.ts';
import { type Answer, assertRefused, startApi } from '../api.ts';

const GOOD = { customer_name: 'Asha', total_price: 12.5 };

test('an idempotency key whose request is in flight is refused with 409 and Retry-After', async (t) => {
  const held = gate();
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const api = await startApi({
    orders: {
      async place(placements) {
        begin();
        await held.promise;
        return placements.map(() => ({ outcome: 'placed' }));
      },
    },
  });
  t.after(api.close);
  const key = { 'idempotency-key': 'k-1' };
  const first = api.order(GOOD, key);
  await begun;
  const second = await api.order(GOOD, key);
  assertRefused(second, 409, { code: 'IDEMPOTENCY_KEY_IN_FLIGHT' });
  assert.equal(second.headers['retry-after'], '1');
  held.open();
  assert.equal((await first).status, 201);
});

test('orders are refused with 503 and Retry-After while the store is down', async (t) => {
  const api = await startApi({
    orders: {
      async place() {
        throw new TiffinError('UNAVAILABLE', 'the database cannot be reached', {
          cause: new Error('password=x'),
        });
      },
      async find() {
        throw new TiffinError('UNAVAILABLE', 'the database cannot be reached');
      },
    },
  });
  t.after(api.close);
  for (const answer of [await api.order(GOOD), await api.ask('GET', '/orders/o-1')]) {
    assertRefused(answer, 503, { code: 'UNAVAILABLE' });
    assert.equal(answer.headers['retry-after'], '2');
    assert.ok(!answer.text.includes('password'));
  }
  assert.deepEqual(api.log.at('error'), []);
});

test('an order is refused with 503 while too many orders wait', async (t) => {
  const held = gate();
  const api = await startApi({
    maxWaiting: 1,
    orders: {
      async place(placements) {
        await held.promise;
        return placements.map(() => ({ outcome: 'placed' }));
      },
    },
  });
  t.after(api.close);
  const answers: Answer[] = [];
  const asked = Array.from({ length: 6 }, () => api.order(GOOD).then((answer) => answers.push(answer)));
  while (answers.length < 1) await turns();
  const [refused] = answers;
  assert.ok(refused);
  assertRefused(refused, 503, { code: 'OVERLOADED' });
  assert.equal(refused.headers['retry-after'], '1');
  held.open();
  await Promise.all(asked);
  assert.ok(answers.some(({ status }) => status === 201));
});

test('an unknown error is answered 500 without details and logged in full', async (t) => {
  const api = await startApi({
    orders: {
      async find() {
        throw new Error('relation "orders" has a secret');
      },
    },
  });
  t.after(api.close);
  const answer = await api.ask('GET', '/orders/o-1');
  assertRefused(answer, 500, { code: 'INTERNAL' });
  assert.ok(!answer.text.includes('secret') && !answer.text.includes('relation'));
  const [line] = api.log.at('error');
  assert.match(String(line?.fields.err), /secret/);
});
