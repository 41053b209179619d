/** The request schemas of the order routes: they report every problem, and return parsed values. */
import { z } from 'zod';
import { parseDecimal } from '../../../../domain/money.ts';
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

/** Text that the database can store: no control characters and no lone surrogates. */
export const text = z
  .string(expected('a string'))
  .refine((value) => !/[\p{Cc}\p{Cs}]/u.test(value), 'must not contain control characters')
  .refine((value) => value.length <= 256, 'must be at most 256 characters')
  .meta({ maxLength: 256 });

export const name = text
  .refine((value) => value.trim().length > 0, 'must not be empty')
  .transform((value) => value.trim());

export const price = z
  .union([z.number(), z.string()], expected('a decimal number such as 12.50'))
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
export const fromCursor = z.string().transform((text, ctx) => {
  const [createdAt, id] = Buffer.from(text, 'base64url').toString().split('|');
  if (createdAt && /^\d{1,15}$/.test(createdAt) && id && ORDER_ID.test(id))
    return { createdAt: Number(createdAt), id: id as OrderId };
  ctx.addIssue({ code: 'custom', message: 'must be the nextCursor of an earlier page' });
  return z.NEVER;
});

export function toCursor(order: { createdAt: number; id: OrderId }): string {
  return Buffer.from(`${order.createdAt}|${order.id}`).toString('base64url');
}

const PAGE = 'must be a whole number from 1 to 200';
/** Maximum number of entries on a page. */
export const limit = z.coerce.number({ error: PAGE }).int(PAGE).min(1, PAGE).max(200, PAGE).default(50);

export const listQuery = z.object({
  status: z.enum(ORDER_STATUSES, { error: `must be one of ${ORDER_STATUSES.join(', ')}` }).optional(),
  createdFrom: moment.optional(),
  createdBefore: moment.optional(),
  cursor: fromCursor.optional(),
  limit,
});
