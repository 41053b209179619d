/** Column types that Drizzle has no word for, and how their values travel. */
import { type SQL, sql } from 'drizzle-orm';
import { type AnyPgColumn, customType } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { toDecimalText } from '../../../domain/money.ts';
import { toRfc3339 } from '../../../domain/schedule.ts';

/** Text compared byte by byte, so that its order is the same in every database and in JavaScript. */
export const varcharC = customType<{ data: string; config: { length: number } }>({
  dataType: (config) => `varchar(${config?.length}) COLLATE "C"`,
});

const parseTime = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ, 'text');

/** A timestamptz, in epoch milliseconds. */
export const timestamptz = customType<{ data: number; driverData: string }>({
  dataType: () => 'timestamptz(3)',
  // A year of more than four digits has a sign and zeros before it in JavaScript, and neither in Postgres.
  toDriver: (epochMs) => toRfc3339(epochMs).replace(/^\+0*/, ''),
  // Date.parse is faster than the driver's parser, but takes the year 99 for 1999 and has no year of five digits.
  fromDriver: (text) => (/^[1-9]\d{3}-/.test(text) ? Date.parse(text) : Number(parseTime(text))),
});

/** An amount of money, in minor units. */
export const amount = customType<{ data: number; driverData: string }>({
  dataType: () => 'numeric(14, 2)',
  toDriver: toDecimalText,
  fromDriver: (text) => Number(text.replace('.', '')),
});

/** 64-bit numbers as decimal text, since they exceed a double: an integer, a transaction id that never wraps, a generated id. */
export const bigint = customType<{ data: string }>({ dataType: () => 'bigint' });
export const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' });
export const identity = customType<{ data: string; default: true }>({
  dataType: () => 'bigint GENERATED ALWAYS AS IDENTITY',
});

/** JSON stored as it was written, for values that are only read whole. */
export const json = customType<{ data: unknown; driverData: string }>({
  dataType: () => 'json',
  toDriver: toJson,
});

/** JSON that queries look into. */
export const jsonb = customType<{ data: unknown; driverData: string }>({
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

/** The condition that a column holds one of these values. DDL has no parameters, so the values stand in its text. */
export function isOneOf(column: AnyPgColumn, values: readonly string[]): SQL {
  return sql`${column} in (${sql.raw(values.map((value) => `'${value}'`).join(', '))})`;
}
