/** Builds conditions for reading a time window in keyset pages. Placeholders are epoch milliseconds. */
import { type SQL, sql } from 'drizzle-orm';
import type { AnyPgColumn } from 'drizzle-orm/pg-core';

const timeOf = (placeholder: string) => sql`to_timestamp(${sql.placeholder(placeholder)}::float8 / 1000)`;

/** Rows later than `after`, and rows at `after` whose keys are greater than the placeholders with the keys' names. */
export function isAfter(time: AnyPgColumn, ...keys: AnyPgColumn[]): SQL {
  const columns = sql.join([time, ...keys], sql`, `);
  const values = sql.join(
    [timeOf('after'), ...keys.map(({ name }) => sql.placeholder(keyOf(name)))],
    sql`, `,
  );
  return sql`(${columns}) > (${values})`;
}

/** Rows earlier than `before`. */
export function isBefore(time: AnyPgColumn): SQL {
  return sql`${time} < ${timeOf('before')}`;
}

/** Selects a time as epoch milliseconds: a page has thousands, and parsing text would be slower. */
export function epochMs(time: AnyPgColumn): SQL<number> {
  return sql<number>`floor(extract(epoch from ${time}) * 1000)::float8`;
}

/** order_id → orderId. */
function keyOf(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
