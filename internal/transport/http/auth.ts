/** Authentication and authorization: reads the principal from a bearer token and checks it against a route's access. */
import { createSecretKey } from 'node:crypto';
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { Context } from 'koa';
import { TiffinError } from '../../domain/errors.ts';
import { checkedTokens } from './checked-tokens.ts';
import { type Principal, ROLES, type Role } from './principal.ts';

/** Access to a route: open to anyone, or limited to principals with one of the roles. */
export type Access<Param extends string = string> =
  | 'anyone'
  | {
      readonly roles: readonly Role[];
      /** For a role named here, that path parameter must equal the principal's subject. */
      readonly self?: { readonly [role in Role]?: Param };
    };

/** Throws UNAUTHORIZED, or UNAVAILABLE if the keys cannot be fetched. */
export type Authenticate = (ctx: Context) => Principal | Promise<Principal>;

const HMAC = ['HS256', 'HS384', 'HS512'];
const SIGNATURES = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** Subjects that the database can store as a customer's id. */
const SUBJECT = /^[^\p{Cc}\p{Cs}]{1,128}$/u;
const KEYS_TIMEOUT_MS = 3_000;
/** An unknown key makes the JWKS be fetched again, at most once in this time. */
const KEYS_COOLDOWN_MS = 3_000;
/** After a fetch of the JWKS failed, the next one waits for this time, so that requests do not flood a login service. */
const KEYS_PAUSE_MS = 1_000;

/** What else a token must fulfil. */
export interface TokenRules {
  /** Required among the token's `aud`. */
  readonly audience?: string | undefined;
  /** Required as the token's `iss`. */
  readonly issuer?: string | undefined;
  /** How far the clock of the login service may be off, seconds. */
  readonly clockToleranceS?: number;
}

/** Accepts `Authorization: Bearer <JWT>`, signed with the secret or with a key published at the JWKS URL. */
export function jwtAuth(
  keys: { readonly secret: string } | { readonly jwksUrl: string },
  { audience, issuer, clockToleranceS = 5 }: TokenRules = {},
): Authenticate {
  const [key, algorithms] =
    'secret' in keys
      ? [constant(createSecretKey(Buffer.from(keys.secret))), HMAC]
      : [publishedKeys(keys.jwksUrl), SIGNATURES];
  const options = {
    algorithms,
    requiredClaims: ['exp', 'sub'],
    clockTolerance: clockToleranceS,
    ...(audience === undefined ? {} : { audience }),
    ...(issuer === undefined ? {} : { issuer }),
  };
  const checked = checkedTokens();
  return async (ctx) => {
    const token = bearerToken(ctx);
    if (token === undefined)
      throw unauthorized(ctx, 'an Authorization header with a bearer token is required');
    const cached = checked.recall(token);
    if (cached) return cached;
    try {
      const { payload } = await jwtVerify(token, key, options);
      const expiresAt = ((payload.exp as number) + clockToleranceS) * 1_000;
      const principal = { ...toPrincipal(payload), expiresAt };
      checked.remember(token, principal, expiresAt);
      return principal;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw unauthorized(ctx, 'the token has expired', error);
      if (error instanceof errors.JOSEError) throw unauthorized(ctx, 'the token is not valid', error);
      throw error;
    }
  };
}

/** Without authentication every request that `check` does not refuse has the operator's rights. */
export function noAuth(check: (ctx: Context) => void = () => {}): Authenticate {
  const operator: Principal = { subject: 'anonymous', roles: ['operator'] };
  return (ctx) => {
    check(ctx);
    return operator;
  };
}

/** Returns the principal reduced to the roles that give it access to the route; throws FORBIDDEN if none does. */
export function admit(
  principal: Principal,
  { roles, self }: Exclude<Access, 'anyone'>,
  params: Readonly<Record<string, string>>,
): Principal {
  const admitted = principal.roles.filter((role) => {
    const own = self?.[role];
    return roles.includes(role) && (own === undefined || params[own] === principal.subject);
  });
  if (admitted.length > 0) return { ...principal, roles: admitted };
  throw new TiffinError(
    'FORBIDDEN',
    principal.roles.some((role) => roles.includes(role))
      ? `'${principal.subject}' may do this only for itself`
      : `this is only for ${roles.join(' and ')}`,
  );
}

/** The token, or undefined if the header is absent or has another scheme. */
function bearerToken(ctx: Context): string | undefined {
  return /^Bearer +(.*)$/i.exec(ctx.req.headers.authorization ?? '')?.[1];
}

/** RFC 6750, section 3.1: the challenge names an error only if the request had a token. */
function unauthorized(ctx: Context, detail: string, cause?: errors.JOSEError): TiffinError {
  ctx.set('WWW-Authenticate', cause ? 'Bearer error="invalid_token"' : 'Bearer');
  return new TiffinError('UNAUTHORIZED', detail, { cause });
}

function toPrincipal({ sub, roles, role }: JWTPayload): Pick<Principal, 'subject' | 'roles'> {
  if (typeof sub !== 'string' || !SUBJECT.test(sub)) throw new errors.JWTInvalid('"sub" is not an id');
  const claimed: readonly unknown[] = Array.isArray(roles) ? roles : [role];
  return { subject: sub, roles: ROLES.filter((role) => claimed.includes(role)) };
}

function constant<T>(value: T): () => T {
  return () => value;
}

/** Looks up a token's key in the JWKS, which jose caches for ten minutes; throws UNAVAILABLE if the JWKS cannot be fetched. */
function publishedKeys(url: string): JWTVerifyGetKey {
  const published = createRemoteJWKSet(new URL(url), {
    timeoutDuration: KEYS_TIMEOUT_MS,
    cooldownDuration: KEYS_COOLDOWN_MS,
    [customFetch]: pausingFetch(),
  });
  return async (header, token) => {
    try {
      return await published(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
        throw error;
      throw new TiffinError('UNAVAILABLE', 'the keys to verify tokens cannot be fetched now', {
        cause: error,
      });
    }
  };
}

/** Fails without a request for a while after a failure. */
function pausingFetch(): FetchImplementation {
  let pausedUntil = 0;
  return async (url, options) => {
    if (Date.now() < pausedUntil) throw new Error('the last fetch of the keys has just failed');
    pausedUntil = Date.now() + KEYS_PAUSE_MS;
    const response = await fetch(url, options);
    if (response.ok) pausedUntil = 0;
    return response;
  };
}
