/** Authentication with tokens of a login service that publishes its keys. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT } from 'jose';
import { jwtAuth } from '../../internal/transport/http/auth.ts';
import { type Answer, codes, startApi } from './api.ts';

describe('authentication with published keys', () => {
  type Keys = Awaited<ReturnType<typeof generateKeyPair>>;

  /** Starts a login service that publishes a key under the id 'k-1' and signs tokens with it. */
  async function login(
    t: TestContext,
    { alg = 'ES256', status = 200, publish = (jwks: unknown) => jwks } = {},
  ) {
    const keys = await generateKeyPair(alg);
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k-1', alg, use: 'sig' };
    let asked = 0;
    const server = createServer((_, response) => {
      asked += 1;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(publish({ keys: [jwk] })));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
    const api = await startApi({ authenticate: jwtAuth({ jwksUrl }) });
    t.after(api.close);
    return {
      api,
      jwk,
      server,
      asked: () => asked,
      async ask({ signer = keys as Keys, kid = 'k-1' } = {}): Promise<Answer> {
        const token = await new SignJWT({ sub: 'me', roles: ['operator'] })
          .setProtectedHeader({ alg, kid })
          .setExpirationTime('1h')
          .sign(signer.privateKey);
        return api.ask('GET', '/scheduler', { headers: { authorization: `Bearer ${token}` } });
      },
    };
  }

  for (const alg of ['ES256', 'RS256', 'PS256', 'EdDSA']) {
    test(`a published key verifies tokens signed with ${alg}, and the keys are fetched once`, async (t) => {
      const { ask, asked } = await login(t, { alg });
      assert.deepEqual([(await ask()).status, (await ask()).status, asked()], [200, 200, 1]);
    });
  }

  test('a token signed with an unpublished key is refused, under a published or an unknown key id', async (t) => {
    const { ask, api } = await login(t);
    const signer = await generateKeyPair('ES256');
    for (const kid of ['k-1', 'k-2']) {
      const answer = await ask({ signer, kid });
      assert.deepEqual(codes(answer), ['401', 'UNAUTHORIZED']);
      assert.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"');
    }
    assert.deepEqual(api.log.at('error'), []);
  });

  test('a key that was rotated in is fetched at once, and unknown keys cause one fetch in three seconds', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const rotated = await generateKeyPair('ES256');
    const next = { ...(await exportJWK(rotated.publicKey)), kid: 'k-2', alg: 'ES256', use: 'sig' };
    let isRotated = false;
    const { ask, asked } = await login(t, { publish: (jwks) => (isRotated ? { keys: [next] } : jwks) });
    assert.equal((await ask()).status, 200);
    isRotated = true;
    t.mock.timers.setTime(Date.now() + 3_000);
    assert.deepEqual([(await ask({ signer: rotated, kid: 'k-2' })).status, asked()], [200, 2]);
    for (const kid of ['k-3', 'k-4']) assert.equal((await ask({ signer: rotated, kid })).status, 401);
    assert.equal(asked(), 2);
    t.mock.timers.setTime(Date.now() + 3_000);
    for (const kid of ['k-3', 'k-4']) assert.equal((await ask({ signer: rotated, kid })).status, 401);
    assert.equal(asked(), 3);
  });

  test('a token is refused within minutes after its key was withdrawn', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    let published = true;
    const { ask } = await login(t, { publish: (jwks) => (published ? jwks : { keys: [] }) });
    assert.equal((await ask()).status, 200);
    published = false;
    t.mock.timers.setTime(Date.now() + 12 * 60_000);
    assert.deepEqual(codes(await ask()), ['401', 'UNAUTHORIZED']);
  });

  test('a token signed with a published key as its HMAC secret is refused', async (t) => {
    const { api, jwk } = await login(t, { alg: 'RS256' });
    const pem = await exportSPKI(
      (await importJWK(jwk, 'RS256')) as Exclude<Awaited<ReturnType<typeof importJWK>>, Uint8Array>,
    );
    for (const secret of [JSON.stringify(jwk), pem, pem.trim()]) {
      const token = await new SignJWT({ sub: 'me', roles: ['operator'] })
        .setProtectedHeader({ alg: 'HS256', kid: 'k-1' })
        .setExpirationTime('1h')
        .sign(Buffer.from(secret));
      const answer = await api.ask('GET', '/scheduler', { headers: { authorization: `Bearer ${token}` } });
      assert.deepEqual(codes(answer), ['401', 'UNAUTHORIZED']);
    }
  });

  test('requests during an outage of the login service cause one fetch a second', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const { ask, asked } = await login(t, { status: 500 });
    for (let n = 0; n < 5; n++) assert.deepEqual(codes(await ask()), ['503', 'UNAVAILABLE']);
    assert.equal(asked(), 1);
    t.mock.timers.setTime(Date.now() + 1_000);
    assert.equal((await ask()).status, 503);
    assert.equal(asked(), 2);
  });

  test('a failed fetch of the published keys is answered 503, without its cause', async (t) => {
    const gone = await login(t);
    gone.server.close();
    const down = await login(t, { status: 500 });
    const wrong = await login(t, { publish: () => ({ no: 'keys' }) });
    for (const { ask, api } of [gone, down, wrong]) {
      const answer = await ask();
      assert.deepEqual(codes(answer), ['503', 'UNAVAILABLE']);
      assert.equal(answer.headers['retry-after'], '2');
      assert.doesNotMatch(answer.text, /127\.0\.0\.1|ECONNREFUSED/);
      assert.equal((await api.ask('GET', '/livez')).status, 200);
    }
  });
});
