/** The request schemas of orders with items, one for each dialect. */
import { z } from 'zod';
import { currencyFault, OTHER_DECIMALS } from '../../../../domain/money.ts';
import { ORDER_ID } from '../../../../domain/order.ts';
import { jsonSchemaOf } from '../../json-schema.ts';
import {
  expected,
  name,
  nameOf,
  object,
  orderId,
  placeOrderBody,
  price,
  scheduleTime,
  text,
} from './order-schemas.ts';

const MAX_LINES = 100;
const MAX_QUANTITY = 10_000;

export const itemId = z
  .string(expected('a string'))
  .regex(ORDER_ID, 'must be 1 to 64 letters, digits, dots, hyphens or underscores');

/** The id of a customer or user, given by an external system. */
const externalId = nameOf(128);

const WHOLE = `a whole number from 1 to ${MAX_QUANTITY}`;
export const quantity = z
  .number(expected(WHOLE))
  .int(`must be ${WHOLE}`)
  .min(1, `must be ${WHOLE}`)
  .max(MAX_QUANTITY, `must be ${WHOLE}`);

export function linesOf<T extends z.ZodType>(line: T) {
  return z
    .array(line, expected('a list'))
    .min(1, 'must not be empty')
    .max(MAX_LINES, `must be at most ${MAX_LINES}`);
}

export const address = z.object(
  {
    street: name,
    city: name,
    state: name,
    zipCode: z
      .string(expected('a string'))
      .regex(/^[A-Za-z0-9][A-Za-z0-9 -]{1,11}$/, 'must be a zip code such as 12345'),
  },
  object,
);

export const currency = z
  .string(expected('a currency'))
  .check((ctx) => {
    const fault = currencyFault(ctx.value);
    if (fault) ctx.issues.push({ code: 'custom', message: fault, input: ctx.value });
  })
  .meta({ pattern: '^[A-Z]{3}$', not: { enum: OTHER_DECIMALS } });
const contact = z.object({ name: name.optional(), phone: name.optional() }, object);
const payment = z.object({ token: name }, object);

/** Optional fields of the two dialects whose bodies are in camelCase. */
function extras(now: () => number) {
  return {
    id: orderId.optional(),
    scheduledAt: scheduleTime(now).optional(),
    contact: contact.optional(),
    payment: payment.optional(),
    specialInstructions: text.optional(),
    currency: currency.optional(),
  };
}

const dishes = linesOf(z.object({ itemId, quantity }, object));

/** `POST /v1/quotes`: the fields of `POST /v1/orders` on which the amount depends */
export function quoteBody(now: () => number) {
  const { scheduledAt, currency } = extras(now);
  return z.object({ restaurantId: itemId, items: dishes, scheduledAt, currency }, object);
}

/** `POST /v1/orders` */
export function foodOrderBody(now: () => number) {
  return z.object(
    {
      ...extras(now),
      customerId: externalId,
      restaurantId: itemId,
      items: dishes,
      deliveryAddress: address,
    },
    object,
  );
}

/** `POST /orders` with items */
function itemsOrderBody(now: () => number) {
  return z.object(
    {
      ...extras(now),
      customerId: externalId,
      customer_name: name.optional(),
      items: linesOf(z.object({ itemId, quantity, unitPrice: price.optional() }, object)),
      deliveryAddress: address.optional(),
    },
    object,
  );
}

/** `POST /api/v1/orders` */
export const outboxOrderBody = z.object(
  {
    user_id: externalId.optional(),
    restaurant_id: itemId,
    items: linesOf(z.object({ menu_item_id: itemId, quantity }, object)),
  },
  object,
);
export const outboxQuery = z.object({ user_id: externalId.optional() });

/** `/check_inventory` and `/calculate_price` */
export const checkBody = z.object(
  { items: linesOf(z.object({ item_id: itemId, quantity }, object)) },
  object,
);
export const priceBody = z.object(
  {
    order_id: externalId.optional(),
    items: linesOf(z.object({ item_id: itemId, quantity, price }, object)),
  },
  object,
);

export type ItemsOrder = z.infer<ReturnType<typeof itemsOrderBody>>;

function bareSchema(form: z.ZodType) {
  const { $schema, ...bare } = jsonSchemaOf(form);
  return bare;
}

/** A form that the body does not have if it has `items`, whatever they are. */
function withoutItems({ properties, ...form }: ReturnType<typeof bareSchema>) {
  return { ...form, properties: { ...properties, items: { not: {} } } };
}

/** `POST /orders` takes two forms; a body with `items` has the second one. */
export function ordersBody(now: () => number) {
  const byAmount = placeOrderBody(now);
  const byItems = itemsOrderBody(now);
  const either = z.unknown().meta({ anyOf: [withoutItems(bareSchema(byAmount)), bareSchema(byItems)] });
  return either.transform((value, ctx) => {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    const isOfEither = isObject && ['items', 'customer_name', 'total_price'].some((field) => field in value);
    if (isObject && !isOfEither) {
      const message = 'must have customer_name and total_price, or customerId and items';
      ctx.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    const parsed = (isObject && 'items' in value ? byItems : byAmount).safeParse(value);
    if (parsed.success) return parsed.data;
    ctx.issues.push(...(parsed.error.issues as typeof ctx.issues));
    return z.NEVER;
  });
}
