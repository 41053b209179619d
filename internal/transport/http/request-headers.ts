/** The request headers that the API knows, and those of its answers: idempotency keys, entity tags and trace context. */
import { createHash } from 'node:crypto';
import type { Context } from 'koa';
import { TiffinError } from '../../domain/errors.ts';
import type { IdempotencyKey, StoredResponse } from '../../service/ports.ts';
import type { OrderView } from '../../service/views/ports.ts';
import type { Principal } from './principal.ts';

/** An entity tag (RFC 9110, section 8.8.3). A list of them may have empty elements. */
const TAG = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"';

export type RequestHeader =
  | 'Idempotency-Key'
  | 'If-Match'
  | 'If-None-Match'
  | 'Last-Event-ID'
  | 'Tiffin-Signature';

export interface HeaderRule {
  readonly description: string;
  readonly example?: string;
  /** What does not match is refused before the handler is called. */
  readonly pattern?: RegExp;
  /** Completes the sentence that begins with the header's name. */
  readonly fault?: string;
}

export const REQUEST_HEADERS: Record<RequestHeader, HeaderRule> = {
  'Idempotency-Key': {
    description: 'Makes the request safe to retry: the same key and body get the same response',
    pattern: /^[\x21-\x7e]{1,128}$/,
    fault: 'must be 1 to 128 visible ASCII characters',
  },
  'If-Match': {
    description: 'The ETag of the version to change; another version is refused with 412',
    example: '"3"',
    pattern: new RegExp(`^(?:\\*|[ \\t,]*${TAG}[ \\t]*(?:,[ \\t]*(?:${TAG}[ \\t]*)?)*)$`),
    fault: 'must be * or entity tags such as "3"',
  },
  'If-None-Match': {
    description: 'The ETag that the client has; if it is the current one, the answer is 304 without a body',
    example: '"3"',
  },
  'Last-Event-ID': { description: 'The id of the last event that the client got of an earlier stream' },
  'Tiffin-Signature': {
    description: 't=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">, with the secret of the webhook',
  },
};

/** Throws INVALID_INPUT for a header that is given and malformed. */
export function checkHeader(ctx: Context, name: RequestHeader): void {
  const { pattern, fault } = REQUEST_HEADERS[name];
  const given = ctx.req.headers[name.toLowerCase()];
  if (given === undefined || !pattern || pattern.test(String(given))) return;
  const code = `INVALID_${name.toUpperCase().replaceAll('-', '_')}`;
  const detail = `${name} ${fault}`;
  throw new TiffinError('INVALID_INPUT', detail, { problems: [{ code, detail }] });
}

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
  return key === undefined ? undefined : { principal: subject, operation, key: String(key), fingerprint };
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

/** The entity tag of an order's view: the order's version, then what else the view shows, and what is shown beside it. */
export function viewTag({ order, revision }: OrderView, ...beside: number[]): string {
  return `"${[order.version, ...revision, ...beside].join('.')}"`;
}

/**
 * The versions of the order that If-Match names; undefined if the header is absent or `*`. A weak tag never matches, nor
 * does one that is not Tiffin's.
 */
export function ifMatch(ctx: Context): number[] | undefined {
  const header = ctx.req.headers['if-match'];
  if (header === undefined || header === '*') return undefined;
  const tags = header.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.flatMap((tag) => /^"([1-9]\d{0,8})(?:\.\d+){0,3}"$/.exec(tag)?.[1] ?? []).map(Number);
}

/** The W3C Trace Context header, level 1; a malformed one is ignored, as the standard requires. */
export function traceparent(ctx: Context): string | undefined {
  const header = ctx.req.headers.traceparent;
  return typeof header === 'string' && /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(header)
    ? header
    : undefined;
}
