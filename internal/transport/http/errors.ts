/** Converts errors to HTTP responses: one body shape, and one table from error code to status. */
import type { z } from 'zod';
import { type ErrorCode, type Problem, TiffinError } from '../../domain/errors.ts';

const STATUS: Record<ErrorCode, number> = {
  INVALID_INPUT: 400,
  MALFORMED_JSON: 400,
  UNKNOWN_ITEM: 400,
  ITEM_NOT_SOLD_HERE: 400,
  PRICE_UNKNOWN: 400,
  UNAUTHORIZED: 401,
  INVALID_SIGNATURE: 401,
  FORBIDDEN: 403,
  LINK_READS_ONLY: 403,
  ROUTE_NOT_FOUND: 404,
  ORDER_NOT_FOUND: 404,
  DEAD_LETTER_NOT_FOUND: 404,
  ITEM_NOT_FOUND: 404,
  PAYMENT_NOT_FOUND: 404,
  UNKNOWN_RESTAURANT: 404,
  TICKET_NOT_FOUND: 404,
  RIDER_NOT_FOUND: 404,
  UNKNOWN_LINK: 404,
  METHOD_NOT_ALLOWED: 405,
  ORDER_ID_TAKEN: 409,
  ORDERS_OPEN: 409,
  ALREADY_DISPATCHED: 409,
  RESCHEDULED_TOO_OFTEN: 409,
  ILLEGAL_TRANSITION: 409,
  IDEMPOTENCY_KEY_IN_FLIGHT: 409,
  RESTAURANT_CLOSED: 409,
  ALREADY_ACCEPTED: 409,
  ALREADY_REJECTED: 409,
  TOO_LATE: 409,
  RIDER_NOT_ON_ORDER: 409,
  NOT_PICKED_UP: 409,
  LINK_EXPIRED: 410,
  VERSION_MISMATCH: 412,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  IDEMPOTENCY_KEY_REUSED: 422,
  TOO_MANY_STREAMS: 429,
  TOO_MANY_REQUESTS: 429,
  INTERNAL: 500,
  OVERLOADED: 503,
  UNAVAILABLE: 503,
};

/** The Retry-After header, seconds. */
const RETRY_AFTER: Partial<Record<ErrorCode, string>> = {
  TOO_MANY_STREAMS: '5',
  OVERLOADED: '1',
  UNAVAILABLE: '2',
  IDEMPOTENCY_KEY_IN_FLIGHT: '1',
};

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: {
    readonly errors: readonly { status: string; code: string; detail: string; pointer?: string }[];
  };
}

/** An unknown error becomes INTERNAL without details; the caller logs it. */
export function toErrorAnswer(error: unknown): ErrorAnswer {
  const known =
    error instanceof TiffinError ? error : new TiffinError('INTERNAL', 'an internal error occurred');
  const status = STATUS[known.code];
  const problems: readonly Problem[] =
    known.problems.length > 0 ? known.problems : [{ code: known.code, detail: known.message }];
  const retryAfter = RETRY_AFTER[known.code];
  return {
    status,
    headers: retryAfter ? { 'Retry-After': retryAfter } : {},
    body: { errors: problems.map((problem) => ({ status: String(status), ...problem })) },
  };
}

/** Parses an input; throws INVALID_INPUT with all of its problems. */
export function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map(toProblem);
  throw new TiffinError('INVALID_INPUT', problems.map(({ detail }) => detail).join('; '), { problems });
}

function toProblem(issue: z.core.$ZodIssue): Problem {
  const steps = issue.path.map(String);
  const name = steps.join('.') || 'body';
  return {
    code: codeOf(issue, steps),
    detail: `${name} ${issue.message}`,
    pointer: steps.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
  };
}

/** INVALID_ADDRESS, TOO_MANY_… and INVALID_QUANTITY at any depth; otherwise INVALID_ and the top-level field. */
function codeOf(issue: z.core.$ZodIssue, steps: readonly string[]): string {
  const [first = 'body'] = steps;
  const last = steps.at(-1);
  if (first === 'deliveryAddress') return 'INVALID_ADDRESS';
  if (issue.code === 'too_big' && issue.origin === 'array') return `TOO_MANY_${toUpperSnake(last ?? first)}`;
  return `INVALID_${toUpperSnake(last === 'quantity' ? last : first)}`;
}

function toUpperSnake(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])|[-]/g, (match, before, after) => (match === '-' ? '_' : `${before}_${after}`))
    .toUpperCase();
}
