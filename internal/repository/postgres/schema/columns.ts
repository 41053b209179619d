/** Defines column types that Drizzle lacks, and how their values are encoded and decoded. */
import { type SQL, sql } from 'drizzle-orm';
import { type AnyPgColumn, customType } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { toDecimalText } from '../../../domain/money.ts';
import { toRfc3339 } from '../../../domain/schedule.ts';

/** Text in byte order (collation "C"), so that every database and JavaScript sort it the same way. */
export const varcharC = customType<{ data: string; config: { length: number } }>({
  dataType: (config) => `varchar(${config?.length}) COLLATE "C"`,
});

const parseTime = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ, 'text');

/** A timestamptz, in epoch milliseconds. */
export const timestamptz = customType<{ data: number; driverData: string }>({
  dataType: () => 'timestamptz(3)',
  // JavaScript writes a year over four digits with a sign and leading zeros, Postgres with neither.
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

/** 64-bit numbers as decimal text, since they exceed a double: bigint, xid8 and a generated id. */
export const bigint = customType<{ data: string }>({ dataType: () => 'bigint' });
export const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' });
export const identity = customType<{ data: string; default: true }>({
  dataType: () => 'bigint GENERATED ALWAYS AS IDENTITY',
});

/** JSON stored as text, for values that are only read whole. */
export const json = customType<{ data: unknown; driverData: string }>({
  dataType: () => 'json',
  toDriver: toJson,
});

/** JSON with fields that queries read. */
export const jsonb = customType<{ data: unknown; driverData: string }>({
  dataType: () => 'jsonb',
  toDriver: toJson,
});

/** JSON for a parameter; NUL and lone surrogates, which Postgres cannot store, become U+FFFD. */
function toJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!text.includes('\\u')) return text;
  // Matches an escaped backslash first, so that the characters after it are not read as an escape.
  return text.replace(/\\\\|\\u(?:0000|d[89a-f][0-9a-f]{2})/g, (found) =>
    found === '\\\\' ? found : '\\ufffd',
  );
}

/** The condition that a column has one of these values, as literals, since DDL takes no parameters. */
export function isOneOf(column: AnyPgColumn, values: readonly string[]): SQL {
  return sql`${column} in (${sql.raw(values.map((value) => `'${value}'`).join(', '))})`;
}
