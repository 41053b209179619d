/** Column types that Drizzle has no word for, and how their values travel. */
import { customType } from 'drizzle-orm/pg-core';
import { toDecimalText } from '../../../domain/money.ts';
import { toRfc3339 } from '../../../domain/schedule.ts';

/** Text compared byte by byte, so that its order is the same in every database and in JavaScript. */
export const bytewise = customType<{ data: string; config: { length: number } }>({
  dataType: (config) => `varchar(${config?.length}) COLLATE "C"`,
});

/** A moment, in epoch milliseconds. */
export const moment = customType<{ data: number; driverData: string }>({
  dataType: () => 'timestamptz(3)',
  // A year of more than four digits has a sign and zeros before it in JavaScript, and neither in Postgres.
  toDriver: (epochMs) => toRfc3339(epochMs).replace(/^\+0*/, ''),
  fromDriver: (text) => Date.parse(text),
});

/** An amount of money, in minor units. */
export const amount = customType<{ data: number; driverData: string }>({
  dataType: () => 'numeric(14, 2)',
  toDriver: toDecimalText,
  fromDriver: (text) => Number(text.replace('.', '')),
});

/** A transaction id that never wraps, as decimal text: it exceeds a double. */
export const transactionId = customType<{ data: string }>({ dataType: () => 'xid8' });

/** JSON stored as it was written, for values that are only read whole. */
export const jsonText = customType<{ data: unknown; driverData: string }>({
  dataType: () => 'json',
  toDriver: toJson,
});

/** JSON that queries look into. */
export const jsonBinary = customType<{ data: unknown; driverData: string }>({
  dataType: () => 'jsonb',
  toDriver: toJson,
});

/** JSON for a parameter; NUL and half surrogate pairs, which Postgres cannot hold as text, become U+FFFD. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!text.includes('\\u')) return text;
  // An escaped backslash is matched first, so that what follows it is not taken for an escape.
  return text.replace(/\\\\|\\u(?:0000|d[89a-f][0-9a-f]{2})/g, (found) =>
    found === '\\\\' ? found : '\\ufffd',
  );
}
