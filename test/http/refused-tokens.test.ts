/** Tokens that no route accepts: expired, early, unsigned, of another key, issuer or audience, or with another algorithm. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type JWTPayload, SignJWT } from 'jose';
import { type EveryService, startEveryService } from './every-service.ts';
import { SECRET, tokenOf, unsigned } from './tokens.ts';

const NOW_S = Math.floor(Date.now() / 1_000);
const CLAIMS = { sub: 'olga', roles: ['operator'], aud: 'tiffin', iss: 'https://login.example' };

let every: EveryService;
before(async () => {
  every = await startEveryService({
    AUTH_AUDIENCE: CLAIMS.aud,
    AUTH_ISSUER: CLAIMS.iss,
    AUTH_CLOCK_TOLERANCE_S: '300',
  });
});
after(() => every?.close());

const guarded = () => every.routes.filter(({ access }) => access !== 'anyone');

async function statusesOf(token: string): Promise<number[]> {
  const statuses = new Set<number>();
  for (const { method, path } of guarded()) {
    const url = every.url + path.replace(/:\w+/g, 'x-1');
    const answer = await fetch(url, { method, headers: { authorization: `Bearer ${token}` } });
    await answer.body?.cancel();
    statuses.add(answer.status);
  }
  return [...statuses];
}

/** Signed with a private key, for a server that knows a secret only. */
function signedWithAKey(claims: JWTPayload): Promise<string> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  return new SignJWT({ exp: NOW_S + 3_600, ...claims }).setProtectedHeader({ alg: 'RS256' }).sign(privateKey);
}

/** The token with another header, under the signature that it has. */
function withHeader(token: string, header: object): string {
  const [, ...rest] = token.split('.');
  return [Buffer.from(JSON.stringify(header)).toString('base64url'), ...rest].join('.');
}

const REFUSED: Record<string, () => string | Promise<string>> = {
  'has expired': () => tokenOf({ ...CLAIMS, exp: NOW_S - 600 }),
  'is not valid yet': () => tokenOf({ ...CLAIMS, nbf: NOW_S + 600 }),
  'never expires': () => tokenOf({ ...CLAIMS, exp: undefined }),
  'is unsigned': () => unsigned(CLAIMS),
  'is said to be unsigned, under its signature': async () =>
    withHeader(await tokenOf(CLAIMS), { alg: 'none' }),
  'is said to be unsigned in other letters': async () => withHeader(await tokenOf(CLAIMS), { alg: 'NoNe' }),
  'has no signature': async () => (await tokenOf(CLAIMS)).replace(/[^.]*$/, ''),
  'is signed with another secret': () => tokenOf(CLAIMS, { secret: `${SECRET}!` }),
  'is signed with an empty-looking secret': () => tokenOf(CLAIMS, { secret: '\0'.repeat(32) }),
  'is signed with a private key of its own': () => signedWithAKey(CLAIMS),
  'brings its key along': async () =>
    withHeader(await tokenOf(CLAIMS, { secret: 'x'.repeat(32) }), {
      alg: 'HS256',
      jwk: { kty: 'oct', k: Buffer.from('x'.repeat(32)).toString('base64url') },
      jku: 'http://127.0.0.1:1/keys',
    }),
  'is from another issuer': () => tokenOf({ ...CLAIMS, iss: 'https://login.example.evil' }),
  'has no issuer': () => tokenOf({ ...CLAIMS, iss: undefined }),
  'is for another audience': () => tokenOf({ ...CLAIMS, aud: ['elsewhere'] }),
  'has no audience': () => tokenOf({ ...CLAIMS, aud: undefined }),
  'has a critical extension': async () =>
    new SignJWT({ exp: NOW_S + 3_600, ...CLAIMS })
      .setProtectedHeader({ alg: 'HS256', crit: ['b64'], b64: true })
      .sign(Buffer.from(`${SECRET}?`)),
};

for (const [what, token] of Object.entries(REFUSED)) {
  test(`no route accepts a token that ${what}`, async () => {
    assert.deepEqual(await statusesOf(await token()), [401]);
  });
}

const ACCEPTED: Record<string, JWTPayload> = {
  'the same token without such a fault': CLAIMS,
  'a token that has expired within the tolerance of the settings': { ...CLAIMS, exp: NOW_S - 100 },
};
for (const [what, claims] of Object.entries(ACCEPTED))
  test(`${what} is accepted by every route`, async () => {
    assert.ok(guarded().length > 30);
    const statuses = await statusesOf(await tokenOf(claims));
    assert.deepEqual(
      statuses.filter((status) => status === 401 || status === 403),
      [],
    );
  });
