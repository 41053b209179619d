/** Rate limits of the program: each principal, each address without a token, the headers, and what is never limited. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type EveryService, startEveryService } from './every-service.ts';
import { bearer } from './tokens.ts';

const LIMITED = { RATE_LIMIT: '4', RATE_LIMIT_WINDOW_S: '600' };

async function start(t: TestContext, env: Record<string, string>): Promise<EveryService> {
  const every = await startEveryService(env);
  t.after(() => every.close());
  return every;
}

async function statuses(every: EveryService, path: string, headers: Record<string, string>, count = 6) {
  const found: number[] = [];
  for (let n = 0; n < count; n++) {
    const answer = await fetch(every.url + path, { headers });
    await answer.body?.cancel();
    found.push(answer.status);
  }
  return found;
}

test('each principal has a limit of its own, and is told what is left and when it may ask again', async (t) => {
  const every = await start(t, LIMITED);
  const [asha, ben] = [await bearer('asha', 'customer'), await bearer('ben', 'customer')];
  const first = await fetch(`${every.url}/orders/none`, { headers: asha });
  assert.equal(first.status, 404);
  assert.equal(first.headers.get('ratelimit-policy'), '"default";q=4;w=600');
  assert.match(first.headers.get('ratelimit') ?? '', /^"default";r=3;t=(600|599)$/);
  assert.equal(first.headers.get('retry-after'), null);
  assert.deepEqual(await statuses(every, '/orders/none', asha, 4), [404, 404, 404, 429]);
  const refused = await fetch(`${every.url}/orders/none`, { headers: asha });
  assert.match(refused.headers.get('ratelimit') ?? '', /^"default";r=0;t=\d+$/);
  assert.ok(Number(refused.headers.get('retry-after')) > 500);
  const { errors } = (await refused.json()) as { errors: { status: string; code: string }[] };
  assert.deepEqual([errors[0]?.status, errors[0]?.code], ['429', 'TOO_MANY_REQUESTS']);
  assert.deepEqual(await statuses(every, '/orders/none', ben, 1), [404]);
  // Another token of the same principal is the same principal.
  assert.deepEqual(await statuses(every, '/scheduler', await bearer('asha', 'operator'), 1), [429]);
});

test('requests without a valid token count for their address, so tokens cannot be guessed at any pace', async (t) => {
  const every = await start(t, LIMITED);
  const guess = (n: number) => ({ authorization: `Bearer guess-${n}`, 'x-forwarded-for': `10.0.0.${n}` });
  const found: number[] = [];
  for (let n = 0; n < 6; n++) found.push(...(await statuses(every, '/scheduler', guess(n), 1)));
  assert.deepEqual(found, [401, 401, 401, 401, 429, 429], 'an invented X-Forwarded-For changes nothing');
  assert.deepEqual(await statuses(every, '/', {}, 1), [429]);
  assert.deepEqual(await statuses(every, '/scheduler', await bearer('olga', 'operator'), 1), [200]);
});

test('behind proxies the address is the one that the outermost of them added', async (t) => {
  const every = await start(t, { ...LIMITED, PROXIES: '2' });
  const from = (chain: string) => statuses(every, '/docs', { 'x-forwarded-for': chain }, 5);
  assert.deepEqual(await from('9.9.9.9, 1.1.1.1, 172.16.0.1'), [200, 200, 200, 200, 429]);
  assert.deepEqual(
    await statuses(every, '/docs', { 'x-forwarded-for': '8.8.8.8, 1.1.1.1, 172.16.0.1' }, 1),
    [429],
  );
  assert.deepEqual((await from('9.9.9.9, 2.2.2.2, 172.16.0.1'))[0], 200);
});

test('probes and figures are never limited, and without the setting nothing is', async (t) => {
  const every = await start(t, LIMITED);
  for (const path of ['/livez', '/readyz', '/metrics']) {
    assert.deepEqual(await statuses(every, path, {}), [200, 200, 200, 200, 200, 200], path);
    assert.equal((await fetch(every.url + path)).headers.get('ratelimit'), null);
  }
  const open = await start(t, {});
  assert.deepEqual(await statuses(open, '/docs', {}), [200, 200, 200, 200, 200, 200]);
});
