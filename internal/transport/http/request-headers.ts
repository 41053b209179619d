/** What request headers mean: idempotency keys, entity tags and trace context. */
import { createHash } from 'node:crypto';
import type { Context } from 'koa';
import { TiffinError } from '../../domain/errors.ts';
import type { IdempotencyKey, StoredResponse } from '../../service/ports.ts';
import type { Principal } from './principal.ts';

/** SHA-256, base64url, of what a request means: the parsed values, not the bytes. */
export function fingerprintOf(...meaning: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(meaning)).digest('base64url');
}

/** The Idempotency-Key of a principal's request for an operation, if it has one; another's key of the same name is another. */
export function idempotencyKey(
  ctx: Context,
  { subject }: Principal,
  operation: string,
  fingerprint: string,
): IdempotencyKey | undefined {
  const key = ctx.req.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(key)) {
    throw invalidHeader(
      'INVALID_IDEMPOTENCY_KEY',
      'Idempotency-Key must be 1 to 128 visible ASCII characters',
    );
  }
  return { principal: subject, operation, key, fingerprint };
}

export function send(ctx: Context, { status, headers, body }: Omit<StoredResponse, 'fingerprint'>): void {
  ctx.status = status;
  ctx.set(headers);
  ctx.body = body;
}

export function sendAgain(ctx: Context, answer: StoredResponse): void {
  send(ctx, answer);
  ctx.set('Idempotency-Replayed', 'true');
}

/** The entity tag of an order: its version. */
export function etag(version: number): string {
  return `"${version}"`;
}

/** The versions that If-Match accepts; undefined where it is absent or `*`. */
export function ifMatch(ctx: Context): number[] | undefined {
  const header = ctx.req.headers['if-match'];
  if (header === undefined || header.trim() === '*') return undefined;
  const tags = header.split(',').map((tag) => /^\s*"(\d{1,9})"\s*$/.exec(tag)?.[1]);
  if (tags.includes(undefined))
    throw invalidHeader('INVALID_IF_MATCH', 'If-Match must be * or entity tags such as "3"');
  return tags.map(Number);
}

/** W3C Trace Context, level 1; one that is not well formed is ignored, as the standard asks. */
export function traceparent(ctx: Context): string | undefined {
  const header = ctx.req.headers.traceparent;
  return typeof header === 'string' && /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(header)
    ? header
    : undefined;
}

function invalidHeader(code: string, detail: string): TiffinError {
  return new TiffinError('INVALID_INPUT', detail, { problems: [{ code, detail }] });
}
