/** Who asks: the principal behind a request, by its bearer token, and what a principal may reach. */
import { createSecretKey } from 'node:crypto';
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Context } from 'koa';
import { TiffinError } from '../../domain/errors.ts';
import { checkedTokens } from './checked-tokens.ts';
import { type Principal, ROLES, type Role } from './principal.ts';

/** Who may use a route: everybody, or whoever has one of the roles. */
export type Access<Param extends string = string> =
  | 'anyone'
  | {
      readonly roles: readonly Role[];
      /** For that role the named path parameter must be the principal's own subject. */
      readonly self?: { readonly [role in Role]?: Param };
    };

/** Throws UNAUTHORIZED, or UNAVAILABLE where the keys cannot be fetched. */
export type Authenticate = (ctx: Context) => Principal | Promise<Principal>;

const HMAC = ['HS256', 'HS384', 'HS512'];
const SIGNATURES = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** What the database can hold as a customer's id. */
const SUBJECT = /^[^\p{Cc}\p{Cs}]{1,128}$/u;
const KEYS_TIMEOUT_MS = 3_000;

/** Takes `Authorization: Bearer <JWT>`, signed with the secret or with a key that the URL publishes. */
export function jwtAuth(keys: { readonly secret: string } | { readonly jwksUrl: string }): Authenticate {
  const [key, algorithms] =
    'secret' in keys
      ? [constant(createSecretKey(Buffer.from(keys.secret))), HMAC]
      : [publishedKeys(keys.jwksUrl), SIGNATURES];
  const checked = checkedTokens();
  return async (ctx) => {
    const token = bearerToken(ctx);
    if (token === undefined)
      throw unauthorized(ctx, 'this takes an Authorization header with a bearer token');
    const known = checked.recall(token);
    if (known) return known;
    try {
      const { payload } = await jwtVerify(token, key, { algorithms, requiredClaims: ['exp', 'sub'] });
      const principal = toPrincipal(payload);
      checked.remember(token, principal, payload.exp as number);
      return principal;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw unauthorized(ctx, 'the token has expired', error);
      if (error instanceof errors.JOSEError) throw unauthorized(ctx, 'the token is not valid', error);
      throw error;
    }
  };
}

/** Nobody has to log in, and everybody may do everything. */
export function noAuth(): Authenticate {
  const everybody: Principal = { subject: 'anonymous', roles: ['operator'] };
  return () => everybody;
}

/** The principal with those of its roles that admit it here, so that none of the others counts; throws FORBIDDEN. */
export function admit(
  principal: Principal,
  { roles, self }: Exclude<Access, 'anyone'>,
  params: Readonly<Record<string, string>>,
): Principal {
  const admitted = principal.roles.filter((role) => {
    const own = self?.[role];
    return roles.includes(role) && (own === undefined || params[own] === principal.subject);
  });
  if (admitted.length > 0) return { subject: principal.subject, roles: admitted };
  throw new TiffinError(
    'FORBIDDEN',
    principal.roles.some((role) => roles.includes(role))
      ? `'${principal.subject}' may do this only for itself`
      : `this is for ${roles.join(' and ')}`,
  );
}

/** Undefined where there is none, or credentials of another scheme. */
function bearerToken(ctx: Context): string | undefined {
  return /^Bearer +(.*)$/i.exec(ctx.req.headers.authorization ?? '')?.[1];
}

/** RFC 6750, section 3.1: the error is named only to those who sent a token. */
function unauthorized(ctx: Context, detail: string, cause?: errors.JOSEError): TiffinError {
  ctx.set('WWW-Authenticate', cause ? 'Bearer error="invalid_token"' : 'Bearer');
  return new TiffinError('UNAUTHORIZED', detail, { cause });
}

function toPrincipal({ sub, roles, role }: JWTPayload): Principal {
  if (typeof sub !== 'string' || !SUBJECT.test(sub)) throw new errors.JWTInvalid('"sub" is not an id');
  const claimed: readonly unknown[] = Array.isArray(roles) ? roles : [role];
  return { subject: sub, roles: ROLES.filter((known) => claimed.includes(known)) };
}

function constant<T>(value: T): () => T {
  return () => value;
}

/** The key that a token names, of a published set that is kept for ten minutes; throws UNAVAILABLE where it cannot be had. */
function publishedKeys(url: string): JWTVerifyGetKey {
  const published = createRemoteJWKSet(new URL(url), { timeoutDuration: KEYS_TIMEOUT_MS });
  return async (header, token) => {
    try {
      return await published(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
        throw error;
      throw new TiffinError('UNAVAILABLE', 'the keys that tokens are checked with cannot be had now', {
        cause: error,
      });
    }
  };
}
