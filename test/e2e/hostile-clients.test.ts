/** Clients that mean harm, against the whole program: idle connections, slow requests, deep bodies, and secrets in its output. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import pg from 'pg';
import { ADDRESS } from '../support/builders.ts';
import { startProvider } from '../support/notification-provider.ts';
import { startOwnRedis } from '../support/own-redis.ts';
import { request, runProgram, startProgram } from '../support/program.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';

const LIMIT = { timeout: 120_000 };

/** How many files this process may open; the program may open as many. */
function mostFiles(): number {
  const [, soft] = /Max open files\s+(\d+)/.exec(fs.readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return Number(soft ?? 1_024);
}

test('ten thousand idle and half-sent connections keep nobody else out', {
  ...LIMIT,
  skip: process.platform !== 'linux',
}, async (t) => {
  const [database, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  t.after(() => Promise.all([database.drop(), redis.drop()]));
  const program = await startProgram({ DATABASE_URL: database.url, REDIS_URL: redis.url });
  t.after(() => program.kill());
  const sockets: Socket[] = [];
  t.after(() => sockets.forEach((socket) => void socket.destroy()));
  const port = Number(new URL(program.url).port);
  const wanted = Math.min(10_000, mostFiles() - 500);
  const sent = [
    '',
    'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
    'POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
  ];
  while (sockets.length < wanted) {
    const some = Array.from({ length: 250 }, (_, n) => {
      const socket = connect(port, '127.0.0.1').resume();
      socket.on('error', () => {});
      return once(socket, 'connect').then(() => {
        socket.write(sent[n % sent.length] as string);
        sockets.push(socket);
      });
    });
    await Promise.all(some);
  }
  const started = performance.now();
  const body = { id: 'among-many', customer_name: 'Asha', total_price: 5 };
  assert.equal((await request('POST', `${program.url}/orders`, body)).status, 201);
  assert.equal((await request('GET', `${program.url}/readyz`)).status, 200);
  assert.ok(performance.now() - started < 5_000, 'a request was answered late');
  await until(
    'the stalled connections to be closed',
    () => sockets.every((socket) => socket.destroyed),
    60_000,
  );
  assert.deepEqual(
    program.log.filter(({ level }) => level === 'error'),
    [],
  );
});

test('no secret of the settings is written to the output, whatever goes wrong', LIMIT, async (t) => {
  const secret = (what: string) => `${what}-Sv7cret-0123456789abcdef`;
  const secrets = {
    database: secret('pg'),
    redis: secret('rd'),
    token: `${secret('jwt')}-and-longer-than-32`,
    webhook: secret('hook'),
    key: secret('pay'),
    provider: secret('note'),
  };
  const [database, redis, provider] = await Promise.all([
    freshDatabase(),
    startOwnRedis('--requirepass', ''),
    startProvider(),
  ]);
  const role = `leaky_${process.pid}`;
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${secrets.database}'`);
  await admin.end();
  t.after(async () => {
    await Promise.all([database.drop(), redis.stop(), provider.down()]);
    const again = new pg.Client({ connectionString: database.url.replace(/[^/]*$/, 'postgres') });
    await again.connect();
    await again.query(`DROP ROLE ${role}`);
    await again.end();
  });
  await redis.call('CONFIG', 'SET', 'requirepass', secrets.redis);
  const withPassword = (text: string, password: string) => {
    const url = new URL(text);
    url.username ||= 'user';
    url.password = password;
    return url.href;
  };
  const env = {
    DATABASE_URL: withPassword(database.url.replace(/\/\/[^@]*@/, `//${role}@`), secrets.database),
    REDIS_URL: withPassword(redis.url, secrets.redis).replace('user:', ':'),
    AUTH_JWT_SECRET: secrets.token,
    PAYMENT_WEBHOOK_SECRET: secrets.webhook,
    PAYMENT_API_KEY: secrets.key,
    PAYMENT_URL: withPassword('http://127.0.0.1:9/', secrets.provider),
    NOTIFICATION_URL: withPassword(provider.url, secrets.provider),
    LOG_LEVEL: 'trace',
  };
  const outputs: string[] = [];
  for (const wrong of [
    { DATABASE_URL: `${env.DATABASE_URL}x-not-there` },
    { DATABASE_URL: env.DATABASE_URL.replace(/@[^/]+/, '@127.0.0.1:9') },
    { DATABASE_URL: `postgres://u:${secrets.database}@[bad` },
    { REDIS_URL: `http://u:${secrets.redis}@x` },
    { PAYMENT_URL: `ftp://u:${secrets.provider}@x` },
    { AUTH_JWKS_URL: `http://u:${secrets.provider}@x` },
    { PORT: 'none' },
  ])
    outputs.push((await runProgram({ ...env, ...wrong })).stderr);
  assert.ok(
    outputs.every((text) => text.length > 10),
    'each wrong setting is reported',
  );

  const program = await startProgram(env);
  t.after(() => program.kill());
  let stderr = '';
  program.child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const { SignJWT } = await import('jose');
  const token = await new SignJWT({ sub: 'olga', roles: ['operator'] })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(Buffer.from(secrets.token));
  const headers = { authorization: `Bearer ${token}` };
  const order = (id: string) => ({
    ...{
      id,
      customerId: 'asha',
      currency: 'USD',
      deliveryAddress: ADDRESS,
    },
    items: [{ itemId: 'sushi-set', quantity: 1, unitPrice: 9 }],
  });
  provider.answer = () => 500;
  assert.equal((await request('POST', `${program.url}/orders`, order('one'), headers)).status, 201);
  await until('the provider of messages to be asked', () => provider.posts.length > 0);
  await until('the provider of payments to be missed', () =>
    program.log.some((line) => /payment/i.test(line.msg) && line.level === 'warn'),
  );
  await request(
    'POST',
    `${program.url}/webhooks/payments`,
    { status: 'approved', orderId: 'one', id: 'x' },
    { 'Tiffin-Signature': 't=1,v1=00' },
  );
  await request('GET', `${program.url}/scheduler`, undefined, { authorization: `Bearer ${token}x` });
  await redis.kill();
  await until('Redis to be missed', () => program.log.some(({ msg }) => /Redis/.test(msg)));
  await request('GET', `${program.url}/scheduler`, undefined, headers);
  await program.stop();
  const output = [...outputs, stderr, ...program.log.map((line) => JSON.stringify(line))].join('\n');
  assert.ok(output.includes('127.0.0.1'), 'the output was read');
  for (const [name, text] of Object.entries({ ...secrets, bearer: token }))
    for (const form of [text, encodeURIComponent(text), Buffer.from(`user:${text}`).toString('base64')])
      assert.ok(
        !output.includes(form),
        `${name} is in: ${output.split('\n').find((line) => line.includes(form))}`,
      );
});
