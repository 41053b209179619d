/** Requests that try to get their text interpreted: by the parser, as headers, in paths, in keys, as a page. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { send, speak } from './api.ts';
import { type EveryService, startEveryService } from './every-service.ts';
import { bearer } from './tokens.ts';

const INJECTIONS = [
  '{tag}',
  '*',
  '?',
  '[a-z]',
  'a\r\nSet-Cookie: x=1',
  'a\nb',
  'a\0b',
  '../../etc/passwd',
  "' OR 1=1 --",
  '$' + '{jndi:ldap://x}',
  '%s%n',
  '<script>alert(1)</script>',
  '\u2028',
  '\u202e',
];
const SCRIPT = '<img src=x onerror=alert(1)><script>alert(1)</script>';

let every: EveryService;
let operator: { authorization: string };
let port: number;

before(async () => {
  every = await startEveryService();
  operator = await bearer('olga', 'operator');
  port = Number(new URL(every.url).port);
});
after(() => every?.close());

test('a body that is nested deeply is refused with 400, at any place and however it is made', async () => {
  const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);
  const post = (raw: string) =>
    send(port, 'POST', '/orders', { raw, headers: { ...operator, 'content-type': 'application/json' } });
  const deep = [
    nested(30_000, '[', ']'),
    nested(33, '{"a":', '}').replace('""', '1'),
    '['.repeat(60_000),
    `{"customer_name":"A","total_price":5,"x":${nested(5_000, '[', ']')}}`,
    `{"customer_name":"[","total_price":5,"x":${nested(40, '[', ']')}}`,
  ];
  for (const raw of deep) {
    const answer = await post(raw);
    assert.deepEqual([answer.status, answer.body.errors[0].code], [400, 'MALFORMED_JSON'], raw.slice(0, 60));
  }
  const text = JSON.stringify({ customer_name: `\\"${'[{'.repeat(100)}`.slice(0, 200), total_price: 5 });
  assert.equal((await post(text)).status, 201, 'brackets in a text are no nesting');
  assert.deepEqual(every.log.at('error'), []);
});

test('no text in a path, a query or a header is interpreted', async () => {
  const paths = every.routes.filter(({ path }) => path.includes(':') && !path.startsWith('/admin/customers'));
  const pages = new Set<string>();
  for (const text of INJECTIONS) {
    const encoded = encodeURIComponent(text);
    for (const { method, path } of paths) {
      const answer = await send(port, method, path.replace(/:\w+/g, encoded), {
        headers: { ...operator, 'content-type': 'application/json' },
        ...(method === 'GET' || method === 'DELETE' ? {} : { raw: '{}' }),
      });
      assert.ok(
        answer.status === 404 || answer.status === 400,
        `${method} ${path} with ${encoded}: ${answer.status}`,
      );
      assert.equal(answer.headers['set-cookie'], undefined);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
      const isPage = /^\/(track|kitchen|rider|console)\//.test(path);
      assert.match(answer.headers['content-type'] ?? '', isPage ? /^text\/html/ : /^application\/json/);
      // A page is the same file whatever its address says.
      if (isPage) pages.add(answer.text);
    }
    for (const query of [
      `/orders?id=${encoded}`,
      `/v1/orders?cursor=${encoded}`,
      `/admin/dlq?group=${encoded}`,
      `/admin/dlq?error=${encoded}`,
    ])
      assert.ok((await send(port, 'GET', query, { headers: operator })).status < 500, query);
  }
  assert.equal(pages.size, 4);
  const raw =
    'POST /orders HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: a\r\n b\r\nConnection: close\r\n\r\n';
  assert.match(await speak(port, raw), /^HTTP\/1\.1 400 /);
  assert.match(await speak(port, 'GET /a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.deepEqual(every.log.at('error'), []);
});

test('a principal’s name reaches no key of Redis but the one of its own', async () => {
  const redis = new Redis(every.redisUrl);
  for (const sub of ['{order}:x', '*', '[a-z]*', 'last:orders', 'ü {} ?']) {
    const headers = await bearer(sub, 'customer');
    const body = { customer_name: SCRIPT, total_price: 5 };
    const placed = await send(port, 'POST', '/orders', { body, headers });
    assert.equal(placed.status, 201, sub);
    assert.equal((await send(port, 'GET', `/ui/orders/${placed.body.id}`, { headers })).status, 200);
  }
  const keys = await redis.keys('*');
  redis.disconnect();
  const known = /^(tiffin:|order:[\w.-]+$|order_status:[\w.-]+$|customer:.{1,128}:last_orders$|\{tiffin)/s;
  assert.deepEqual(
    keys.filter((key) => !known.test(key)),
    [],
  );
});

test('scripts in an order’s texts are shown by no answer as a page, and no page builds itself from text', async () => {
  const headers = await bearer('asha', 'customer');
  const body = { id: 'scripted', customer_name: SCRIPT, total_price: 5 };
  assert.equal((await send(port, 'POST', '/orders', { body, headers })).status, 201);
  for (const path of [
    '/orders/scripted',
    '/v1/orders/scripted',
    '/ui/orders/scripted?history=true',
    '/orders?id=scripted',
  ]) {
    const answer = await send(port, 'GET', path, { headers });
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  }
  let pages = 0;
  for (const { method, path, access } of every.routes) {
    if (method !== 'GET' || access !== 'anyone') continue;
    const answer = await send(port, 'GET', path.replace(':file', 'start.js'), {});
    assert.equal(answer.headers['x-content-type-options'], 'nosniff', path);
    if (!/^text\/html/.test(answer.headers['content-type'] ?? '')) continue;
    pages += 1;
    const policy = answer.headers['content-security-policy'] as string;
    const framing = path.startsWith('/track/') ? [] : ["frame-ancestors 'none'"];
    for (const part of ["default-src '(none|self)'", "base-uri 'none'", ...framing])
      assert.match(policy, new RegExp(part), path);
    if (!path.startsWith('/docs')) assert.match(policy, /require-trusted-types-for 'script'/, path);
    assert.doesNotMatch(policy, /script-src[^;]*unsafe|default-src[^;]*unsafe|\*/, path);
    assert.equal(answer.headers['referrer-policy'], 'no-referrer', path);
    assert.doesNotMatch(answer.text, /<script>|\son\w+=/i, `${path} has no inline code`);
  }
  assert.equal(pages, 10);
});
