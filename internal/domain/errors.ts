/** TiffinError, the one error type, with its closed set of codes; transport/http/errors.ts maps each code to a status. */

export type ErrorCode =
  | 'INVALID_INPUT'
  | 'MALFORMED_JSON'
  | 'ROUTE_NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'BODY_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'INVALID_SIGNATURE'
  | 'ORDER_NOT_FOUND'
  | 'ORDER_ID_TAKEN'
  | 'ORDERS_OPEN'
  | 'ALREADY_DISPATCHED'
  | 'RESCHEDULED_TOO_OFTEN'
  | 'ILLEGAL_TRANSITION'
  | 'VERSION_MISMATCH'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'IDEMPOTENCY_KEY_IN_FLIGHT'
  | 'DEAD_LETTER_NOT_FOUND'
  | 'ITEM_NOT_FOUND'
  | 'UNKNOWN_ITEM'
  | 'ITEM_NOT_SOLD_HERE'
  | 'PRICE_UNKNOWN'
  | 'PAYMENT_NOT_FOUND'
  | 'UNKNOWN_RESTAURANT'
  | 'RESTAURANT_CLOSED'
  | 'TICKET_NOT_FOUND'
  | 'ALREADY_ACCEPTED'
  | 'ALREADY_REJECTED'
  | 'TOO_LATE'
  | 'RIDER_NOT_FOUND'
  | 'RIDER_NOT_ON_ORDER'
  | 'NOT_PICKED_UP'
  | 'UNKNOWN_LINK'
  | 'LINK_EXPIRED'
  | 'LINK_READS_ONLY'
  | 'TOO_MANY_STREAMS'
  | 'TOO_MANY_REQUESTS'
  | 'OVERLOADED'
  | 'UNAVAILABLE'
  | 'INTERNAL';

/** One fault of an input: `code` is for programs, `detail` for people, `pointer` the JSON pointer (RFC 6901) of the faulty value. */
export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly pointer?: string;
}

/** `detail` becomes the message, which clients see; `cause` is for the log alone. */
export class TiffinError extends Error {
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];

  constructor(
    code: ErrorCode,
    detail: string,
    options: { problems?: readonly Problem[]; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'TiffinError';
    this.code = code;
    this.problems = options.problems ?? [];
  }
}

/**
 * True for a fault that passes by itself: a dependency is unreachable or overloaded, or a transaction lost a race. Such
 * work is retried without a limit.
 */
export function isTransient(error: unknown): boolean {
  return error instanceof TiffinError && (error.code === 'UNAVAILABLE' || error.code === 'OVERLOADED');
}

/** The error's name and message, as one text; safe for any thrown value. */
export function faultOf(error: unknown): string {
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return typeof error === 'object' || typeof error === 'function' ? 'an object was thrown' : String(error);
}

/** Stands in the `default` of a switch over a union: the code compiles only if every case is handled. */
export function unreachable(value: never): never {
  throw new TypeError(`unexpected value: ${JSON.stringify(value)}`);
}
