/** Reads and writes the headers of idempotency keys, entity tags and trace context. */
import { createHash } from 'node:crypto';
import type { Context } from 'koa';
import { TiffinError } from '../../domain/errors.ts';
import type { IdempotencyKey, StoredResponse } from '../../service/ports.ts';
import type { OrderView } from '../../service/views/ports.ts';
import type { Principal } from './principal.ts';

/** A request's fingerprint: SHA-256, base64url, of its parsed values rather than its bytes. */
export function fingerprintOf(...values: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(values)).digest('base64url');
}

/** The request's Idempotency-Key, if any; the same key of another principal or operation is a different key. */
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

/** The answer to a GET whose If-None-Match names the current entity tag. */
export const UNCHANGED = { description: 'The client has the current state' };

/** The entity tag of an order: its version. */
export function etag(version: number): string {
  return `"${version}"`;
}

/** The entity tag of an order's view: the order's version, then what else the view shows. */
export function viewTag({ order, revision }: OrderView): string {
  return `"${[order.version, ...revision].join('.')}"`;
}

/** Entity tags (RFC 9110, section 8.8.3) with commas between them; a list may have empty elements. */
const TAGS = /^(?:\s*(?:(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"\s*)?(?:,|$))+$/;

/**
 * The versions of the order that If-Match names; undefined if the header is absent or `*`. A weak tag never matches, nor
 * does one that is not Tiffin's.
 */
export function ifMatch(ctx: Context): number[] | undefined {
  const header = ctx.req.headers['if-match'];
  if (header === undefined || header.trim() === '*') return undefined;
  if (!TAGS.test(header) || !header.includes('"'))
    throw invalidHeader('INVALID_IF_MATCH', 'If-Match must be * or entity tags such as "3"');
  const tags = header.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.flatMap((tag) => /^"([1-9]\d{0,8})(?:\.\d+\.\d+)?"$/.exec(tag)?.[1] ?? []).map(Number);
}

/** The W3C Trace Context header, level 1; a malformed one is ignored, as the standard requires. */
export function traceparent(ctx: Context): string | undefined {
  const header = ctx.req.headers.traceparent;
  return typeof header === 'string' && /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(header)
    ? header
    : undefined;
}

function invalidHeader(code: string, detail: string): TiffinError {
  return new TiffinError('INVALID_INPUT', detail, { problems: [{ code, detail }] });
}
