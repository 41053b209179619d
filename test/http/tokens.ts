/** Tokens for tests: signed ones as from a login service, and unsigned ones. */
import { type JWTPayload, SignJWT } from 'jose';

export const SECRET = 'a secret that only the tests know';
const NOW_S = Math.floor(Date.now() / 1_000);

/** Valid for an hour, unless the claims say otherwise; a claim of undefined is left out. */
export function tokenOf(claims: JWTPayload, { secret = SECRET, alg = 'HS256' } = {}): Promise<string> {
  return new SignJWT({ exp: NOW_S + 3_600, ...claims })
    .setProtectedHeader({ alg })
    .sign(new TextEncoder().encode(secret));
}

export async function bearer(sub: string, ...roles: string[]): Promise<{ authorization: string }> {
  return { authorization: `Bearer ${await tokenOf({ sub, roles })}` };
}

/** An unsigned token with `alg: none`. */
export function unsigned(claims: JWTPayload): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  return `${encode({ alg: 'none', typ: 'JWT' })}.${encode({ exp: NOW_S + 3_600, ...claims })}.`;
}
