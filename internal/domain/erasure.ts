/** Erasure: what an order and its records hold about a person, and what stands there afterwards. */
import type { Order } from './order.ts';

/** Stands where a person's data stood. */
export const ERASED = 'erased';
/** The fact in the timeline of an order that was erased. */
export const ERASED_FACT = 'ERASED';

/** The fields about a person in events, records, requests and responses of every dialect. */
const PERSONAL: ReadonlySet<string> = new Set([
  'customerName',
  'customer_name',
  'contact',
  'phone',
  'email',
  'deliveryAddress',
  'delivery_address',
  'specialInstructions',
  'special_instructions',
  'notes',
  'paymentToken',
  'payment_token',
  'token',
  'to',
  'dropoff',
]);
/** Fields with free text, unless it is a code such as OUT_OF_STOCK. */
const REASONS: ReadonlySet<string> = new Set(['reason', 'x-error']);
const CODE = /^[A-Z][A-Z0-9_]*$/;

/** A reason that a person may have written is erased; a code stays. */
export function withoutWords(reason: string): string {
  return CODE.test(reason) ? reason : ERASED;
}

/** A JSON value without data about a person. Fields stay, so that what was valid remains so; ids, amounts and times stay. */
export function withoutPerson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPerson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      if (PERSONAL.has(name)) return [name, erasedAll(field)];
      return [
        name,
        REASONS.has(name) && typeof field === 'string' ? withoutWords(field) : withoutPerson(field),
      ];
    }),
  );
}

/** Every text and number within a field about a person. */
function erasedAll(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(erasedAll);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, erasedAll(field)]));
  return typeof value === 'string' ? ERASED : typeof value === 'number' ? 0 : value;
}

/** The order as the books need it. The erasure is a fact in its timeline, so every copy of an older version is outdated. */
export function eraseOrder(order: Order, at: number): Order {
  const { contact: _contact, paymentToken: _token, specialInstructions: _words, ...kept } = order;
  return {
    ...kept,
    ...(order.customerName === undefined ? {} : { customerName: ERASED }),
    ...(order.deliveryAddress === undefined ? {} : { deliveryAddress: ERASED_ADDRESS }),
    ...('reason' in order && order.reason !== undefined ? { reason: withoutWords(order.reason) } : {}),
    updatedAt: at,
    version: order.version + 1,
    timeline: [...order.timeline, { fact: ERASED_FACT, at }],
  } as Order;
}

export const ERASED_ADDRESS = { street: ERASED, city: ERASED, state: ERASED, zipCode: ERASED };
