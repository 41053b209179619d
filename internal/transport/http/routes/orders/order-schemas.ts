/** The request schemas of the order routes: they report every problem, and return parsed values. */
import { z } from 'zod';
import { MAX_MINOR, parseDecimal, toDecimal } from '../../../../domain/money.ts';
import { ORDER_ID, ORDER_STATUSES, type OrderId } from '../../../../domain/order.ts';
import { canonicalTime, isTooFarAhead } from '../../../../domain/schedule.ts';

export function expected(type: string) {
  return {
    error: (issue: { input?: unknown }) => (issue.input === undefined ? 'is required' : `must be ${type}`),
  };
}

export const orderId = z
  .string(expected('a string'))
  .regex(
    ORDER_ID,
    'must be 1 to 64 letters, digits, dots, hyphens or underscores, and begin with a letter or digit',
  )
  .transform((id) => id as OrderId);

/** Control characters, and the white space of JavaScript's `trim`: classes that every dialect of regular expressions reads. */
const CONTROL = '\\u0000-\\u001f\\u007f-\\u009f';
const SPACE = ' \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff';
const NO_CONTROLS = 'must not contain control characters';
const TEXT = new RegExp(`^[^${CONTROL}]*$`, 'u');
const NAME = new RegExp(`^[${SPACE}]*[^${CONTROL}${SPACE}][^${CONTROL}]*$`, 'u');

/** Text that the database can store: no control characters and no lone surrogates; its length is in code points. */
export function textOf(longest: number, pattern = TEXT) {
  return z
    .string(expected('a string'))
    .regex(pattern, {
      error: ({ input }) => (TEXT.test(String(input)) ? 'must not be empty' : NO_CONTROLS),
    })
    .refine((value) => !/\p{Cs}/u.test(value), NO_CONTROLS)
    .refine((value) => [...value].length <= longest, `must be at most ${longest} characters`)
    .meta({ maxLength: longest });
}

export const text = textOf(256);

/** Text that is not only white space, which is removed around it. */
export function nameOf(longest: number) {
  return textOf(longest, NAME)
    .meta({ minLength: 1, maxLength: longest })
    .transform((value) => value.trim());
}

export const name = nameOf(256);

const AROUND = `[\\t-\\r${SPACE}]*`;
export const price = z
  .union([z.number(), z.string()], expected('a decimal number such as 12.50'))
  .meta({
    anyOf: [
      { type: 'number', minimum: 0, maximum: toDecimal(MAX_MINOR), multipleOf: 0.01 },
      { type: 'string', pattern: `^${AROUND}0*[0-9]{1,10}(\\.[0-9]{1,2}0*)?${AROUND}$` },
    ],
  })
  .transform((value, ctx) => {
    const parsed = parseDecimal(value);
    if ('minor' in parsed) return parsed.minor;
    ctx.addIssue({ code: 'custom', message: parsed.fault });
    return z.NEVER;
  });

/**
 * Epoch ms; 0 for every time before 1970, since Postgres cannot store years before 1. A time without an offset is refused:
 * its meaning would depend on the server's time zone.
 */
export const moment = z
  .string(expected('an RFC 3339 time'))
  .meta({ format: 'date-time' })
  .overwrite(canonicalTime)
  .pipe(
    z.iso.datetime({
      offset: true,
      error: 'must be an RFC 3339 time with an offset, such as 2030-01-31T18:30:00Z',
    }),
  )
  .transform((text) => Math.max(Date.parse(text), 0));

/** A time of an order; every past time means now. */
export function scheduleTime(now: () => number) {
  return moment.refine((time) => !isTooFarAhead(time, now()), 'must be within ten years');
}

export const object = expected('a JSON object');

export function placeOrderBody(now: () => number) {
  return z.object(
    {
      id: orderId.optional(),
      customer_name: name,
      total_price: price,
      scheduled_time: scheduleTime(now)
        .nullish()
        .transform((time) => time ?? undefined),
    },
    object,
  );
}

export function rescheduleBody(now: () => number) {
  return z.object({ scheduledAt: scheduleTime(now) }, object);
}

export const cancelBody = z.object({ reason: text.optional() }, object).optional();

export const idQuery = z.object({ id: orderId });

/** A keyset cursor, opaque to clients: the last entry of the previous page. */
export const fromCursor = z
  .string()
  .regex(new RegExp(`^[0-9]{1,15}~${ORDER_ID.source.slice(1)}`), 'must be the nextCursor of an earlier page')
  .transform((text) => {
    const [createdAt, id] = text.split('~');
    return { createdAt: Number(createdAt), id: id as OrderId };
  });

export function toCursor(order: { createdAt: number; id: OrderId }): string {
  return `${order.createdAt}~${order.id}`;
}

const PAGE = 'must be a whole number from 1 to 200';
/** Maximum number of entries on a page. `Number` alone would read '', ' 5' and '0x10' as numbers, too. */
export const limit = z
  .preprocess(
    (value) => (typeof value === 'string' && /^[1-9][0-9]*$/.test(value) ? Number(value) : undefined),
    z.number({ error: PAGE }).int(PAGE).min(1, PAGE).max(200, PAGE),
  )
  .default(50)
  .meta({ description: '50 if it is absent' });

export const listQuery = z.object({
  status: z.enum(ORDER_STATUSES, { error: `must be one of ${ORDER_STATUSES.join(', ')}` }).optional(),
  createdFrom: moment.optional(),
  createdBefore: moment.optional(),
  cursor: fromCursor.optional(),
  limit,
});
